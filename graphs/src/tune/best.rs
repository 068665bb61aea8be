//! The job that comes of a search: the job file as it was written, the winner's values laid over it.

use std::path::PathBuf;

use toml::{Table, Value};

use super::{Search, Trial, TuneError, put};
use crate::job::{Job, Model, tune::Values};

impl Search {
    /// Writes `best.toml` into the search's folder: the job as written, without `[tune]`, with what a
    /// trial set. Its run directory is the job's.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_best(&self, written: Table, best: &Trial) -> Result<PathBuf, TuneError> {
        let path = self.home().join("best.toml");
        let bits = best.bits_per_character.map_or(String::new(), |bits| {
            format!(": {bits:.3} bits per character in its last rung, before learning it")
        });
        let text = format!(
            "# {} of {} in the search in \"{}\"{bits}.\n# Paths are from the folder in which the search was started.\n{}",
            best.name,
            self.standing().len(),
            self.home().display(),
            toml::to_string(&laid_over(written, &best.values)).expect("a job file is plain data"),
        );
        // What stands there is what was tried.
        let job = Job::parse(&path, &text, &[])?;
        let tried = self.job.model_with(&job.model[0].name, &best.values)?;
        let shape = |model: &Model| Model { train: Table::new(), ..model.clone() };
        assert_eq!(shape(&job.model[0]), shape(&tried), "the winner's shape");
        assert_eq!(job.train_of(&job.model[0])?, self.job.train_of(&tried)?, "its training");
        put(&path, text.as_bytes()).map_err(|source| TuneError::File {
            doing: "write",
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }
}

/// A job file with a trial's values in place of its own, and no search.
fn laid_over(mut job: Table, values: &Values) -> Table {
    job.remove("tune");
    for (key, value) in values {
        let Some((table, key)) = key.split_once('.') else { continue };
        // What the model says of its own training goes before what the job says.
        let own = (table == "train").then(|| model(&mut job).get_mut("train")).flatten();
        match own.and_then(Value::as_table_mut).filter(|own| own.contains_key(key)) {
            Some(own) => own.insert(key.into(), value.clone()),
            None if table == "model" => model(&mut job).insert(key.into(), value.clone()),
            None => of(&mut job, "train").insert(key.into(), value.clone()),
        };
    }
    job
}

/// The job's only model, written as `[model]` or `[[model]]`.
fn model(job: &mut Table) -> &mut Table {
    if matches!(job.get("model"), Some(Value::Array(_))) {
        let models = job.get_mut("model").and_then(Value::as_array_mut);
        return models.and_then(|list| list[0].as_table_mut()).expect("it was read as a job");
    }
    of(job, "model")
}

fn of<'a>(job: &'a mut Table, table: &str) -> &'a mut Table {
    let table = job.entry(table).or_insert_with(|| Value::Table(Table::new()));
    table.as_table_mut().expect("it was read as a job")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_winner_s_values_take_the_place_of_the_job_s_wherever_those_stand() {
        let values: Values = [("model.hidden", 64.into()), ("train.batch", 3.into())]
            .map(|(key, value): (&str, Value)| (key.to_owned(), value))
            .into();
        for (written, expected) in [
            (
                "seed = 2\n[tune]\nbracket = 3\n",
                "seed = 2\n[model]\nhidden = 64\n[train]\nbatch = 3\n",
            ),
            (
                "[[model]]\nhidden = 8\ncell = \"gru\"\n[train]\nbatch = 9\npasses = 2\n",
                "[[model]]\nhidden = 64\ncell = \"gru\"\n[train]\nbatch = 3\npasses = 2\n",
            ),
            (
                "[model]\ntrain = { batch = 1 }\n[train]\nbatch = 9\n",
                "[model]\nhidden = 64\ntrain = { batch = 3 }\n[train]\nbatch = 9\n",
            ),
        ] {
            let table = |text: &str| toml::from_str::<Table>(text).expect("TOML");
            assert_eq!(laid_over(table(written), &values), table(expected), "{written}");
        }
    }
}
