//! `seseragi tune`

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, bail};
use clap::Args;
use graphs::{
    directory,
    job::Job,
    metrics::series::{Curves, curves},
    run::run_halving,
    tune::{Fate, Search, Trial},
};
use serde_json::json;

use super::{print_json, run::watched_by};
use crate::{
    plots::{draw, search::search},
    signals,
};

/// Searches for good settings: many models train on the same chunks, the worse half is stopped, again
/// and again
///
/// The job's table `tune` says what is searched. Trials are judged by how well they predict each
/// chunk before they learn it; what the job holds out is not looked at. A search that was stopped or
/// killed goes on where it was. It ends with a table, a picture, and best.toml, a job to run, in the
/// folder tune of the run directory.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi tune jobs/tune.toml --trials 12
  seseragi run runs/tuned/tune/best.toml

What can be searched is described in docs/tuning.md.")]
pub struct Tune {
    /// The job file
    job: PathBuf,
    /// Trials in all; tune.bracket of them train side by side
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    trials: u16,
    /// Overrides a key of the job file, such as tune.bracket=4; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Prints the trials as JSON
    #[arg(long)]
    json: bool,
}

impl Tune {
    /// Searches, and prints what came of it.
    pub fn execute(self) -> anyhow::Result<()> {
        let job = Job::read(&self.job, &self.set)?;
        let mut search = Search::begin(&job, self.trials.into())?;
        let drain = Arc::new(AtomicBool::new(false));
        signals::drain_on_signal(Arc::clone(&drain))?;
        let mut complete = true;
        while let Some(bracket) = search.next_bracket()? {
            let (first, last) = (bracket.before + 1, bracket.before + bracket.values.len());
            let ends: Vec<String> = bracket.halving.ends().map(|end| end.to_string()).collect();
            say!(
                "bracket {} of {}: trials {first} to {last}; rungs end after {} chunks",
                bracket.number + 1,
                search.brackets(),
                ends.join(", "),
            );
            let run = |job: &_, reins: &_| run_halving(job, Some(bracket.halving), reins);
            let watched = watched_by(&bracket.job, Arc::clone(&drain), run)?;
            complete = search.finish(&bracket, &watched.finished)?;
            if !complete {
                break;
            }
        }
        self.tell(&search, complete)
    }

    fn tell(&self, search: &Search, complete: bool) -> anyhow::Result<()> {
        let standing = search.standing();
        let winner = search.best().filter(|_| complete);
        let best = winner.map(|winner| {
            anyhow::Ok(search.write_best(Job::written(&self.job, &self.set)?, winner)?)
        });
        let best = best.transpose()?;
        let plots = match complete {
            true => picture(search, winner.map(called))?,
            false => Vec::new(),
        };
        if self.json {
            print_json(&json!({
                "directory": search.home(),
                "complete": complete,
                "rungs": search.halving().ends().collect::<Vec<_>>(),
                "trials": standing,
                "winner": winner.map(|winner| &winner.name),
                "job": best,
                "plots": plots,
            }))?;
        } else if !standing.is_empty() {
            print!("{}", table(&standing, search.halving().rungs));
        }
        if !complete {
            let brackets = if standing.is_empty() { "no bracket has ended; " } else { "" };
            say!("drained: {brackets}the same command goes on from here");
            return Ok(());
        }
        let Some(best) = best else {
            bail!("every trial has diverged; search lower values of train.learning_rate, or clip");
        };
        let ran_out =
            winner.is_some_and(|winner| winner.rungs.len() < search.halving().rungs as usize);
        if ran_out {
            say!(
                "the text ended before the last rung did: lower tune.rung_chunks or chunk.words, or \
                 read more"
            );
        }
        if standing.len() < usize::from(self.trials) {
            say!("the ranges hold no more than {} different trials", standing.len());
        }
        if !self.json {
            println!();
            for path in &plots {
                println!("{}", path.display());
            }
            println!("the winner's job: seseragi run {}", best.display());
        }
        Ok(())
    }
}

/// Draws the search; the files.
fn picture(search_of: &Search, called: Option<String>) -> anyhow::Result<Vec<PathBuf>> {
    let standing = search_of.standing();
    let brackets = standing.iter().map(|trial| trial.bracket + 1).max().unwrap_or(0);
    let measured: Vec<Curves> = (0..brackets)
        .map(|bracket| measured(&directory::metrics(&search_of.folder(bracket))))
        .collect::<anyhow::Result<Vec<_>>>()?
        .concat();
    let figure = search(&standing, &measured, &called.unwrap_or_default());
    let folder = search_of.home();
    draw(folder, &[figure], &["svg", "png"])
        .with_context(|| format!("could not draw into \"{}\"", folder.display()))
}

/// What a bracket has measured: nothing where every trial diverged in its first chunk.
fn measured(path: &Path) -> anyhow::Result<Vec<Curves>> {
    let unread = || format!("could not read \"{}\"", path.display());
    let text = fs::read_to_string(path).with_context(unread)?;
    curves(&text).with_context(unread)
}

/// A trial and what it sets.
fn called(trial: &Trial) -> String {
    let value = |(key, value): (&String, &toml::Value)| {
        let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
        format!("{name} {}", plain(value))
    };
    let values: Vec<String> = trial.values.iter().map(value).collect();
    format!("{}, the best: {}", trial.name, values.join(", "))
}

/// A value as a person would write it.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(number) => format!("{number:?}"), // 1e-7 rather than 0.0000001
        other => other.to_string(),
    }
}

/// The trials in columns, the best first.
fn table(standing: &[&Trial], rungs: u32) -> String {
    let keys: Vec<&String> =
        standing.first().map_or(Vec::new(), |trial| trial.values.keys().collect());
    let mut rows = vec![vec!["trial".to_owned()]];
    rows[0].extend(keys.iter().map(|key| key.to_string()));
    rows[0].extend(["rungs", "chunks", "bits/character", "ended"].map(str::to_owned));
    for (place, trial) in standing.iter().enumerate() {
        let ended = match trial.fate {
            Fate::Kept | Fate::Outdone if place == 0 => "best",
            Fate::Kept => "left at the end of its bracket",
            Fate::Outdone => "outdone",
            Fate::Diverged => "diverged",
        };
        let bits = trial.bits_per_character.map_or("-".into(), |bits| format!("{bits:.4}"));
        let mut row = vec![trial.name.clone()];
        row.extend(keys.iter().map(|&key| plain(&trial.values[key])));
        row.push(format!("{}/{rungs}", trial.rungs.len()));
        row.extend([trial.chunks.to_string(), bits, ended.to_owned()]);
        rows.push(row);
    }
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_a_trial_and_says_why_each_ended() {
        let trial = |name: &str, rate: f64, fate, bits| Trial {
            name: name.into(),
            bracket: 0,
            values: [("train.learning_rate".to_owned(), rate.into())].into(),
            rungs: vec![5.0; 1 + usize::from(fate == Fate::Kept)],
            bits_per_character: bits,
            chunks: 8,
            fate,
        };
        let trials = [
            trial("trial-10", 0.01, Fate::Kept, Some(4.5)),
            trial("trial-2", 3.0, Fate::Outdone, Some(7.25)),
            trial("trial-3", 100.0, Fate::Diverged, None),
        ];
        let expected = "\
trial     train.learning_rate  rungs  chunks  bits/character  ended
trial-10  0.01                 2/2    8       4.5000          best
trial-2   3.0                  1/2    8       7.2500          outdone
trial-3   100.0                1/2    8       -               diverged
";
        assert_eq!(table(&trials.iter().collect::<Vec<_>>(), 2), expected);
    }
}
