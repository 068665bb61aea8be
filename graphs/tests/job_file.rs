//! `docs/job.toml` is what a job file may say: it has every key, each explained, with its default.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use graphs::job::{Aozora, Feed, Files, Job, Pages, Sample, Source, Stdin};
use operators::catalogue::aozora::Filter;
use toml::{Table, Value};

/// Keys without a default, and their values where the document shows an example.
const EXAMPLES: [&str; 12] = [
    "source.0.weight",
    "source.1.weight",
    "source.1.wanted.limit",
    "source.2.weight",
    "source.2.limit",
    "source.3.weight",
    "source.3.url",
    "source.4.weight",
    "source.4.paths",
    "source.5.weight",
    "fetch.user_agent",
    "fetch.cache_dir",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn document() -> String {
    fs::read_to_string(root().join("docs/job.toml")).expect("it is part of the project")
}

/// The text with the keys that are commented out, which begin with `#` and no space.
fn with_everything(text: &str) -> String {
    let key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let lines = text.lines().map(|line| if key(line) { &line[1..] } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// A job with the defaults of every kind of source; what has none is filled in, so that its key is
/// there.
fn defaults() -> Job {
    let wanted = Filter { limit: Some(0), ..Filter::default() };
    let weight = Some(0.0);
    let mut job = Job {
        source: vec![
            Source::Sample(Sample { weight, ..Sample::default() }),
            Source::Aozora(Aozora { weight, wanted, ..Aozora::default() }),
            Source::Pages(Pages { weight, limit: Some(0), ..Pages::default() }),
            Source::Feed(Feed { weight, ..Feed::default() }),
            Source::Files(Files { weight, ..Files::default() }),
            Source::Stdin(Stdin { weight, ..Stdin::default() }),
        ],
        ..Job::default()
    };
    job.fetch.cache_dir = Some(PathBuf::new());
    job
}

/// The values of a table by their dotted keys; an empty table is a value.
fn flattened(table: &Table) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for (key, value) in table {
        let parts: Vec<(String, Table)> = match value {
            Value::Table(part) if !part.is_empty() => vec![(key.clone(), part.clone())],
            Value::Array(list) if key == "source" => {
                let parts = list.iter().enumerate();
                parts
                    .filter_map(|(index, part)| Some((index, part.as_table()?.clone())))
                    .map(|(index, part)| (format!("{key}.{index}"), part))
                    .collect()
            }
            value => {
                flat.insert(key.clone(), value.clone());
                continue;
            }
        };
        for (prefix, part) in parts {
            let inner = flattened(&part).into_iter();
            flat.extend(inner.map(|(key, value)| (format!("{prefix}.{key}"), value)));
        }
    }
    flat
}

#[test]
fn the_document_is_a_job_and_says_nothing_but_the_defaults() {
    let job = Job::read(&root().join("docs/job.toml"), &[]).expect("a job that could be run");
    let sample = vec![Source::Sample(Sample::default())];
    assert_eq!(job, Job { source: sample, ..Job::default() });
}

#[test]
fn the_document_has_every_key_of_a_job_with_its_default_and_no_other() {
    let everything = with_everything(&document());
    let job: Job = toml::from_str(&everything).expect("no key is unknown");
    assert_eq!(job.source.len(), defaults().source.len(), "every kind of source is there");

    let mut documented = flattened(&toml::from_str(&everything).expect("TOML"));
    let mut known = flattened(&Table::try_from(defaults()).expect("plain data"));
    // What is wanted of a sample is explained where the keys are, at the other library.
    assert_eq!(documented.remove("source.0.wanted"), Some(Table::new().into()));
    known.retain(|key, _| !key.starts_with("source.0.wanted."));
    for example in EXAMPLES {
        assert!(known.remove(example).is_some(), "{example} is no key");
        assert!(documented.remove(example).is_some(), "{example} is not documented");
    }
    assert_eq!(documented, known);
}

#[test]
fn every_key_is_explained_above_it() {
    let text = document();
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate().skip(1) {
        let setting = line.strip_prefix('#').unwrap_or(line);
        let is_key = setting.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let is_kind = setting.starts_with("kind = "); // explained above its table
        if is_key && !is_kind {
            let above = lines[number - 1];
            assert!(above.starts_with("# ") && above.len() > 10, "line {}: {line}", number + 1);
        }
    }
}

#[test]
fn the_jobs_that_come_along_can_be_read() {
    let jobs = fs::read_dir(root().join("jobs")).expect("they are part of the project");
    let mut read = 0;
    for job in jobs {
        let path = job.expect("a file").path();
        Job::read(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        read += 1;
    }
    assert!(read >= 3, "only {read} jobs");
}
