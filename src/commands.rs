//! The commands, one a file.

pub mod demo;
pub mod doctor;
pub mod evaluate;
pub mod export;
pub mod generate;
pub mod inspect;
pub mod plot;
pub mod report;
pub mod run;
pub mod steer;
pub mod tune;
pub mod vectors;

use std::path::Path;

use graphs::{
    job::JobError,
    peers::BadPlace,
    report::ReportError,
    run::RunError,
    trained::{Trained, TrainedError},
    tune::TuneError,
};
use serde::Serialize;

/// Whether the trouble is in what was asked for, rather than in doing it.
pub fn is_configuration(error: &anyhow::Error) -> bool {
    let setting = |error: &model::Error| {
        matches!(error, model::Error::Setting { .. } | model::Error::Mismatch { .. })
    };
    error.is::<JobError>()
        || error.is::<BadPlace>()
        || matches!(error.downcast_ref(), Some(RunError::Peers(error)) if error.is_configuration())
        || error.downcast_ref().is_some_and(setting)
        || matches!(error.downcast_ref(), Some(RunError::Model(error)) if setting(error))
        || matches!(error.downcast_ref(), Some(TrainedError::Model(error)) if setting(error))
        || matches!(error.downcast_ref(), Some(TrainedError::NoSuchModel { .. }))
        || matches!(error.downcast_ref(), Some(ReportError::Trained(TrainedError::Model(error))) if setting(error))
        || matches!(error.downcast_ref(), Some(TuneError::Job(_) | TuneError::Changed { .. }))
}

/// Opens a run's model. Where there are several and none is named, it is said which one was taken.
pub fn open_model(run: &Path, name: Option<&str>, device: &str) -> Result<Trained, TrainedError> {
    let trained = Trained::open_model(run, name, device)?;
    let count = trained.manifest.models.len();
    if name.is_none() && count > 1 {
        say!("model {}, of {count} in this run; --model names another", trained.model.name);
    }
    Ok(trained)
}

/// Refuses names that no device has; whether this machine has the device is seen later.
pub fn device(name: &str) -> Result<String, model::Error> {
    name.parse().map(|_: model::DeviceChoice| name.to_owned())
}

/// Prints an answer that a program reads.
pub fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(answer)?);
    Ok(())
}

/// A number of bytes for a reader.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

/// A number with its thousands parted.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_parted() {
        assert_eq!([7, 1000, 1_234_567].map(super::grouped), ["7", "1,000", "1,234,567"]);
    }
}
