//! `seseragi inspect`

use std::path::PathBuf;

use clap::Args;
use graphs::{
    changes::{Changes, changes},
    checkpoint::State,
    directory,
    job::Job,
    ledger::{Fate, Line},
    picture::{Dataflow, dot},
    trained::{Looked, Trained, look},
};
use serde_json::json;

use super::{grouped, print_json, run::summed};

/// Shows what a run has learnt and from what
///
/// With --json it lists every document with source, address, hash, revision and chunk: what the
/// model was made from, with the credits that its library asks for.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi inspect runs/demo --json | jq '.documents[] | [.title, .credit]'")]
pub struct Inspect {
    /// The run directory
    run: PathBuf,
    /// Tells what the libraries added, revised and withdrew when reading their catalogues last
    /// brought news
    #[arg(long)]
    changes: bool,
    /// Draws the dataflow and the network as they are built, in DOT, the language of Graphviz
    #[arg(long, conflicts_with_all = ["changes", "json"])]
    pub graph: bool,
    /// Prints everything as JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    /// Draws the dataflow and the network, which needs the model.
    pub fn draw(&self) -> anyhow::Result<()> {
        let trained = Trained::open(&self.run, "cpu")?;
        let job = Job::read(&directory::job(&self.run), &[])?;
        print!("{}", dot(&Dataflow::of(&job)?, Some(&trained.network)));
        Ok(())
    }

    /// Looks and prints everything but the graph.
    pub fn execute(self) -> anyhow::Result<()> {
        let Looked { path, manifest, passed_over } = look(&self.run)?;
        let state = State::read(&path)?;
        if self.changes {
            return tell_changes(&changes(&state.ledger, &manifest.counts), self.json);
        }
        if self.json {
            let passed_over: Vec<_> = passed_over
                .iter()
                .map(|(path, reason)| json!({ "checkpoint": path, "damaged": reason }))
                .collect();
            return print_json(&json!({
                "checkpoint": path,
                "passed_over": passed_over,
                "format": manifest.format,
                "version": manifest.version,
                "epoch": manifest.epoch,
                "weights_digest": manifest.weights_digest,
                "account": manifest.account,
                "counts": manifest.counts,
                "models": manifest.models,
                "vocabulary": state.vocabulary.len(),
                "pending_ids": state.pending.len(),
                "documents": state.ledger,
            }));
        }
        for (path, reason) in &passed_over {
            println!("passed over {}: {reason}", path.display());
        }
        let account = &manifest.account;
        println!("checkpoint {}, of epoch {}", path.display(), manifest.epoch);
        println!("{}", summed(account));
        println!(
            "{} words, {} of them spelled; {} ids in the vocabulary",
            grouped(account.words),
            grouped(account.spelled),
            grouped(state.vocabulary.len().into()),
        );
        println!("weights_digest {}", manifest.weights_digest);
        for model in manifest.models.iter().filter(|_| manifest.models.len() > 1) {
            match model.record.set_aside {
                Some(why) => println!("model {} {why}", model.name),
                None => println!("model {} weights_digest {}", model.name, model.weights_digest),
            }
        }
        for line in &state.ledger {
            println!("{}", described(line));
        }
        Ok(())
    }
}

fn tell_changes(changes: &Changes, json: bool) -> anyhow::Result<()> {
    if json {
        return print_json(changes);
    }
    let Changes { since, added, revised, withdrawn } = changes;
    println!(
        "{}: {} added, {} revised, {} withdrawn",
        since.map_or("all that there is".into(), |since| format!("since epoch {since}")),
        grouped(added.len() as u64),
        grouped(revised.len() as u64),
        grouped(withdrawn.len() as u64),
    );
    for (what, lines) in [("added", added), ("revised", revised), ("withdrawn", withdrawn)] {
        for line in lines {
            println!("{what}: {}", described(line));
        }
    }
    Ok(())
}

fn described(line: &Line) -> String {
    let Line { entry, fate, reason, chunk, last_chunk, .. } = line;
    let name = format!("{}:{} {} {}", entry.source, entry.id, entry.title, entry.credit);
    match (fate, reason) {
        (Fate::Learnt, _) if chunk == last_chunk => format!("learnt in chunk {chunk}: {name}"),
        (Fate::Learnt, _) => format!("learnt in chunks {chunk} to {last_chunk}: {name}"),
        (Fate::HeldOut, _) => format!("held out: {name}"),
        (Fate::Withdrawn, _) => name,
        (_, Some((stage, reason))) => format!("rejected by {stage}, {reason}: {name}"),
        (_, None) => format!("rejected: {name}"),
    }
}
