//! Overrides of a job file, and messages that say what may have been meant.

use std::{fs, path::Path};

use toml::{Table, Value};

use super::{Job, JobError};

impl Job {
    /// A job file as it is written, `overrides` laid over it, and nothing filled in.
    ///
    /// # Errors
    /// As [`Job::read`], but for what makes no sense.
    pub fn written(path: &Path, overrides: &[String]) -> Result<Table, JobError> {
        let text = fs::read_to_string(path)
            .map_err(|source| JobError::Unreadable { path: path.into(), source })?;
        let mut table = toml::from_str(&text)
            .map_err(|error| JobError::Malformed { path: path.into(), message: explain(&error) })?;
        overlay(&mut table, overrides)?;
        Ok(table)
    }
}

/// Lays `key=value` pairs over a job. Keys are dotted; a number is a place in a list. Values are
/// TOML, or else taken as text.
pub(super) fn overlay(job: &mut Table, overrides: &[String]) -> Result<(), JobError> {
    for pair in overrides {
        let unreadable = || JobError::Override(pair.clone());
        let (key, value) = pair.split_once('=').ok_or_else(unreadable)?;
        let value = value.trim();
        let value = toml::from_str::<Table>(&format!("value = {value}"))
            .ok()
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| Value::String(value.to_owned()));
        let path: Vec<&str> = key.trim().split('.').collect();
        let (last, parents) = path.split_last().ok_or_else(unreadable)?;
        if path.iter().any(|part| part.is_empty()) {
            return Err(unreadable());
        }
        let mut table = &mut *job;
        let mut parents = parents.iter().peekable();
        while let Some(part) = parents.next() {
            let entry = table.entry(*part).or_insert_with(|| Value::Table(Table::new()));
            table = match (entry, parents.peek().and_then(|index| index.parse::<usize>().ok())) {
                (Value::Array(list), Some(index)) => {
                    parents.next();
                    list.get_mut(index).and_then(Value::as_table_mut).ok_or_else(unreadable)?
                }
                (Value::Table(table), _) => table,
                _ => return Err(unreadable()),
            };
        }
        table.insert((*last).to_owned(), value);
    }
    Ok(())
}

/// The parser's message in one line, with the nearest known key where one is unknown.
pub(super) fn explain(error: &toml::de::Error) -> String {
    let message = error.to_string();
    let mut names = error.message().split('`').skip(1).step_by(2);
    let meant = error.message().starts_with("unknown").then(|| names.next()).flatten().and_then(
        |unknown| {
            names
                .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
                .min()
                .filter(|(distance, known)| *distance <= known.len().max(3) / 2)
        },
    );
    let place = message.lines().next().filter(|line| line.contains("line ")).unwrap_or_default();
    let what = error.message().split(", expected").next().unwrap_or_default();
    match meant {
        Some((_, known)) => format!("{place}: {what}; did you mean `{known}`?"),
        None => format!("{place}: {}", error.message().trim_end().replace('\n', "; ")),
    }
    .trim_start_matches(": ")
    .to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::job::Job;

    fn refusal(text: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|&pair| pair.to_owned()).collect();
        Job::parse(Path::new("a.toml"), text, &overrides).expect_err("no such job").to_string()
    }

    const SAMPLE: &str = "[[source]]\nkind = \"sample\"\n";

    #[test]
    fn a_misspelled_key_is_refused_with_the_nearest_known_one() {
        let message = refusal(&format!("{SAMPLE}[train]\npases = 2\n"), &[]);
        assert!(message.contains("line 4"), "{message}");
        assert!(message.ends_with("unknown field `pases`; did you mean `passes`?"), "{message}");
        let message = refusal(SAMPLE, &["train.bacth=2"]);
        assert!(message.ends_with("did you mean `batch`?"), "{message}");
        let message = refusal("[[source]]\nkind = \"aozra\"\n", &[]);
        assert!(message.contains("did you mean `aozora`?"), "{message}");
    }

    #[test]
    fn a_value_that_makes_no_sense_is_refused_with_advice() {
        assert_eq!(
            refusal(SAMPLE, &["train.batch=0"]),
            "could not use job: `train.batch` is 0; use 1 or more"
        );
        let message = refusal(SAMPLE, &["train.batch=-1"]);
        assert!(message.contains("invalid value: integer `-1`"), "{message}");
        assert!(refusal("", &[]).contains("add a [[source]] table"));
    }

    #[test]
    fn overrides_reach_tables_lists_and_text() {
        let overrides = ["train.passes=7", "source.0.name=brook", "directory=runs/x y"];
        let overrides = overrides.map(str::to_owned);
        let job = Job::parse(Path::new("a.toml"), SAMPLE, &overrides).expect("a job");
        assert_eq!((job.train.passes, job.source[0].name()), (7, "brook"));
        assert_eq!(job.directory, Path::new("runs/x y"));
    }
}
