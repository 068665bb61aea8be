//! What there is to say of a run: for each model what it is, how it was trained, how far it came, how
//! its gradients fared, how it repeats itself, and a passage that it writes.
//!
//! It is put together from what the run keeps (its job file, its newest checkpoint, `metrics.jsonl`);
//! only the passages are made for it. Nothing of the run is changed.

use std::{collections::BTreeMap, fs, path::Path};

use model::Sampler;
use serde::Serialize;

use crate::{
    checkpoint::{Counts, ModelState},
    directory,
    job::{Clipping, Job, Model},
    learner::pupil::SetAside,
    ledger::Account,
    metrics::series::{Curves, ParameterNorms, Point, Quantity, SeriesError, curves},
    trained::{Looked, Trained, TrainedError, look, voice::Written},
};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The run cannot be read.
    #[error(transparent)]
    Trained(#[from] TrainedError),
    /// A file of the run cannot be read.
    #[error("could not read \"{}\": {source}; a run that has learnt a chunk has it", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Its measurements are damaged.
    #[error(transparent)]
    Series(#[from] SeriesError),
}

/// How the passages are written.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// Words of each; 0 for none.
    pub words: usize,
    /// What they go on from.
    pub prompt: &'a str,
    /// How they are drawn.
    pub sampler: Sampler,
    /// Where: `auto`, `cpu` or `cuda:N`.
    pub device: &'a str,
}

/// What there is to say of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// The last part of its directory.
    pub name: String,
    /// Its newest checkpoint's epoch.
    pub epoch: u64,
    /// SHA-256 over the weights of all models.
    pub weights_digest: String,
    /// What became of the entries.
    pub account: Account,
    /// Chunks, training time and so on.
    pub counts: Counts,
    /// Its models, in the order of the job.
    pub models: Vec<ModelReport>,
}

/// What there is to say of a model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// Its name.
    pub name: String,
    /// What the job says of its shape.
    pub job: Model,
    /// How its gradients are clipped.
    pub clip: Clipping,
    /// Where, if they are.
    pub clip_at: f64,
    /// Its learning rate at its highest.
    pub learning_rate: f64,
    /// Numbers that it has learnt; none if it has no weights any more.
    pub parameters: Option<u64>,
    /// Steps that it took.
    pub steps: u64,
    /// Chunks that it learnt.
    pub chunks: usize,
    /// Bits a character of the held-out text, at the last score.
    pub held_out_bits: Option<f64>,
    /// Perplexity per word of the same.
    pub perplexity: Option<f64>,
    /// Bits a character of each chunk before it was learnt, the median over the last quarter of its
    /// chunks: a mean would tell of one explosion alone.
    pub recent_bits: Option<f64>,
    /// Share of all its steps whose gradient was clipped.
    pub clipped_share: Option<f64>,
    /// The largest of its chunks' mean gradient norms.
    pub largest_gradient: Option<f64>,
    /// Chunks that it predicted more than twice as badly as by guessing.
    pub exploded_chunks: usize,
    /// The worst of them in bits a character; none if that was not even finite.
    pub worst_bits: Option<f64>,
    /// Why it learnt no more, if so.
    pub set_aside: Option<SetAside>,
    /// The gauges of repetition at the last score, by name; `human.` are those of held-out text.
    pub repetition: BTreeMap<String, f64>,
    /// Its parameters when they were last surveyed.
    pub surveyed: Vec<ParameterNorms>,
    /// What it writes.
    pub passage: Option<Written>,
    /// Everything that was measured of it.
    pub curves: Curves,
}

impl RunReport {
    /// Reads a run, and has its models write.
    ///
    /// # Errors
    /// If there is no run, it has no whole checkpoint yet, or its files are damaged.
    pub fn of(run: &Path, writing: Writing<'_>) -> Result<Self, ReportError> {
        let Looked { manifest, .. } = look(run)?;
        let read = |path: std::path::PathBuf| {
            fs::read_to_string(&path).map_err(|source| ReportError::File { path, source })
        };
        let mut measured = curves(&read(directory::metrics(run))?)?;
        // Shapes and clipping are told as the job has them.
        let job = directory::noted(run);
        let mut models = Vec::new();
        for state in &manifest.models {
            let is_its_own = |curves: &Curves| match &curves.model {
                Some(name) => *name == state.name,
                None => manifest.models.len() == 1,
            };
            let place = measured.iter().position(is_its_own);
            let curves = place.map(|place| measured.swap_remove(place)).unwrap_or_default();
            let open = |_| Trained::open_model(run, Some(&state.name), writing.device);
            let trained = state.trainer.as_ref().map(open).transpose()?;
            models.push(ModelReport::of(&job, state, curves, trained.as_ref(), writing)?);
        }
        let name = run.canonicalize().unwrap_or_else(|_| run.into());
        let name = name.file_name().unwrap_or(run.as_os_str()).to_string_lossy().into_owned();
        Ok(Self {
            name,
            epoch: manifest.epoch,
            weights_digest: manifest.weights_digest,
            account: manifest.account,
            counts: manifest.counts,
            models,
        })
    }
}

impl ModelReport {
    fn of(
        job: &Job,
        state: &ModelState,
        curves: Curves,
        trained: Option<&Trained>,
        writing: Writing<'_>,
    ) -> Result<Self, TrainedError> {
        let wanted = job.model.iter().find(|model| model.name == state.name);
        let wanted = wanted.cloned().unwrap_or_default();
        let train = job.train_of(&wanted).unwrap_or_else(|_| job.train.clone());
        let points = |quantity| curves.points.get(&quantity).map_or(&[][..], Vec::as_slice);
        let newest = |quantity| points(quantity).last().map(|point| point.value);
        let bits: Vec<f64> =
            points(Quantity::PrequentialBits).iter().map(|point| point.value).collect();
        let gradients = points(Quantity::GradientNorm).iter().map(|point| point.value);
        let shares = points(Quantity::ClippedShare);
        let exploded = || curves.exploded.iter().map(|point| point.value);
        let worst = exploded().reduce(f64::max).filter(|_| exploded().all(f64::is_finite));
        let gauges = curves.repetition.iter();
        let gauges = gauges.filter_map(|(name, points)| Some((name, points.last()?)));
        let size = |trained: &Trained| {
            let parameters = trained.network.parameters();
            parameters.iter().map(|parameter| parameter.tensor.numel() as u64).sum::<u64>()
        };
        let write = |trained: &Trained| {
            let passage =
                trained.passages(writing.prompt, (1, writing.words), writing.sampler, |_, _| {
                    Ok::<(), TrainedError>(())
                });
            passage.map(|mut passages| passages.pop())
        };
        let passage = trained.filter(|_| writing.words > 0).map(write).transpose()?;
        Ok(Self {
            name: state.name.clone(),
            clip: train.clip,
            clip_at: train.clip_at,
            learning_rate: train.learning_rate,
            job: wanted,
            parameters: trained.map(size),
            steps: match state.record.set_aside {
                Some(SetAside::Diverged { step, .. }) => step, // in a chunk that it did not learn
                _ => state.record.steps,
            },
            chunks: bits.len(),
            held_out_bits: newest(Quantity::HeldOutBits),
            perplexity: newest(Quantity::Perplexity),
            recent_bits: median(&bits[bits.len() - bits.len().div_ceil(4)..]),
            clipped_share: share_of_steps(shares),
            largest_gradient: gradients.reduce(f64::max),
            exploded_chunks: curves.exploded.len(),
            worst_bits: worst,
            set_aside: state.record.set_aside,
            repetition: gauges
                .map(|(name, point): (_, &Point)| (name.clone(), point.value))
                .collect(),
            surveyed: curves.surveys.last().map(|last| last.parameters.clone()).unwrap_or_default(),
            passage: passage.flatten(),
            curves,
        })
    }
}

/// The mean of a share over steps, each point holding for those since the one before; none without
/// a step.
fn share_of_steps(shares: &[Point]) -> Option<f64> {
    let (mut sum, mut before) = (0.0, 0);
    for point in shares {
        sum += point.value * point.step.saturating_sub(before) as f64;
        before = point.step;
    }
    (before > 0).then(|| sum / before as f64)
}

/// The one in the middle; of an even number the lower. What is not a number counts as the worst.
fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_steps_and_not_of_chunks() {
        let point = |step, value| Point { words: step, step, time: 0.0, value };
        // 10 of 10 steps, then 1 of 2: 11 of 12.
        let share = share_of_steps(&[point(10, 1.0), point(12, 0.5)]).expect("steps");
        assert!((share - 11.0 / 12.0).abs() < 1e-12);
        assert_eq!(share_of_steps(&[]), None);
    }

    #[test]
    fn a_median_is_not_moved_by_one_explosion() {
        assert_eq!(median(&[5.0, 9e15, 6.0]), Some(6.0));
        assert_eq!(median(&[5.0, f64::NAN, 6.0, 4.0]), Some(5.0));
        assert_eq!(median(&[]), None);
    }
}
