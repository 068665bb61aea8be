//! `seseragi evaluate`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use graphs::{
    evaluate::{Evaluation, documents_hash},
    repetition::{Gauge, Repetition},
    trained::{Trained, TrainedError, voice::Dynamic},
};
use model::{Adaptation, dynamic::Rule};
use operators::{
    batch::Batch,
    record::{Entry, Words},
};
use serde::Serialize;

use super::{grouped, open_model, print_json};

/// Scores text with a trained model: bits per character, perplexity per word
///
/// Without files it scores the documents that the run has held out. It also tells how a passage of
/// the model repeats itself, beside the text.
#[derive(Args)]
#[command(after_help = "Example:
  seseragi evaluate runs/demo 'texts/*.txt' --json
  seseragi evaluate runs/demo --dynamic
  seseragi evaluate runs/demo --dynamic --rule sgd --learning-rate 0.2 --carry")]
pub struct Evaluate {
    /// The run directory
    run: PathBuf,
    /// Texts or HTML pages; patterns such as 'texts/*.txt' are taken too
    files: Vec<String>,
    /// Which of the run's models; without it, the only one or the first
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Words that the model writes to have its repetitions gauged; 0 for none
    #[arg(long, default_value_t = 200, value_name = "WORDS")]
    passage: usize,
    /// Scores once more while a copy of the weights learns from what it has just scored; each
    /// document begins with the trained weights
    #[arg(long)]
    dynamic: bool,
    /// The step: rms, which divides by what the gradients were in training, or sgd; without it, rms
    /// where adam has trained the run
    #[arg(long, requires = "dynamic", value_parser = rule)]
    rule: Option<Rule>,
    /// The length of a step; 0 learns nothing
    #[arg(long, requires = "dynamic", value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Share by which each step draws the weights back to the trained ones
    #[arg(long, requires = "dynamic", value_name = "SHARE")]
    decay: Option<f64>,
    /// Words that are scored before each step
    #[arg(long, requires = "dynamic", value_name = "WORDS")]
    sequence: Option<usize>,
    /// Carries weights and state on from document to document
    #[arg(long, requires = "dynamic")]
    carry: bool,
    /// Of what is held out, only the documents of this source
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    source: Option<String>,
    /// Of what is held out, only the documents of this orthography, such as 旧字旧仮名
    #[arg(long, value_name = "NAME", conflicts_with = "files")]
    orthography: Option<String>,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_parser = super::device)]
    device: String,
    /// Writes each document's ids and their log-probabilities to a file, as JSON
    #[arg(long, value_name = "FILE")]
    log_probabilities: Option<PathBuf>,
    /// Prints the score as JSON
    #[arg(long)]
    json: bool,
}

fn rule(name: &str) -> Result<Rule, String> {
    match name {
        "sgd" => Ok(Rule::Sgd),
        "rms" => Ok(Rule::Rms),
        _ => Err("use rms or sgd".to_owned()),
    }
}

#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    evaluation: Evaluation,
    /// Names what was scored, where it is held out: see [`documents_hash`].
    #[serde(skip_serializing_if = "Option::is_none")]
    held_out_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repetition: Option<Gauge>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamic: Option<Dynamic>,
}

impl Evaluate {
    /// Scores and prints.
    pub fn execute(self) -> anyhow::Result<()> {
        let trained = open_model(&self.run, self.model.as_deref(), &self.device)?;
        let adaptation = self.dynamic.then(|| self.adaptation(&trained)).transpose()?;
        let documents = self.wanted(trained.documents(&self.files)?)?;
        let evaluation = trained.evaluate(&documents)?;
        if let Some(path) = &self.log_probabilities {
            let told = trained.log_probabilities(&documents)?;
            std::fs::write(path, serde_json::to_vec(&told)?)
                .with_context(|| format!("could not write \"{}\"", path.display()))?;
        }
        let gauge = || trained.gauge(&documents, self.passage);
        let repetition = (self.passage > 0).then(gauge).transpose()?;
        let dynamic = |adaptation| trained.evaluate_dynamic(&documents, adaptation);
        let dynamic = adaptation.map(dynamic).transpose()?;
        let held_out_hash = self.files.is_empty().then(|| hash(&documents));
        let answer = Answer { evaluation, held_out_hash, repetition, dynamic };
        if self.json {
            return print_json(&answer);
        }
        answer.tell();
        Ok(())
    }

    /// Those of the documents that are asked for.
    fn wanted(&self, mut documents: Vec<Batch<Words>>) -> Result<Vec<Batch<Words>>, TrainedError> {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        documents.retain(|batch| {
            let of = |entry: &Entry| {
                is(&self.source, &entry.source) && is(&self.orthography, &entry.orthography)
            };
            batch.iter().all(|document| of(&document.entry))
        });
        if documents.is_empty() { Err(TrainedError::NothingHeldOut) } else { Ok(documents) }
    }

    fn adaptation(&self, trained: &Trained) -> anyhow::Result<Adaptation> {
        let rule = self.rule.map_or_else(|| trained.rule(), Ok)?;
        let usual = Adaptation::of(rule);
        let adaptation = Adaptation {
            rate: self.learning_rate.unwrap_or(usual.rate),
            decay: self.decay.unwrap_or(usual.decay),
            sequence: self.sequence.unwrap_or(usual.sequence),
            carry: self.carry,
            ..usual
        };
        adaptation.check()?;
        Ok(adaptation)
    }
}

fn hash(documents: &[Batch<Words>]) -> String {
    let entries: Vec<Entry> =
        documents.iter().flat_map(Batch::iter).map(|document| document.entry).collect();
    documents_hash(entries.iter().map(|entry| entry.id.as_str()))
}

impl Answer {
    fn tell(&self) {
        let evaluation = &self.evaluation;
        println!(
            "{:.4} bits per character ({:.4} nats), perplexity per word {:.1}",
            evaluation.bits_per_character,
            evaluation.nats_per_character,
            evaluation.perplexity_per_word,
        );
        println!(
            "{} documents, {} characters, {} words, {} of them spelled",
            grouped(evaluation.documents),
            grouped(evaluation.characters),
            grouped(evaluation.words),
            grouped(evaluation.spelled),
        );
        if let Some(hash) = &self.held_out_hash {
            println!("held_out_hash {hash}");
        }
        if let Some(dynamic) = &self.dynamic {
            println!(
                "learning while reading: {:.4} bits per character, perplexity per word {:.1}, \
                 {:.0} words/s",
                dynamic.bits_per_character, dynamic.perplexity_per_word, dynamic.words_per_second,
            );
        }
        if let Some(Gauge { passage, human, sentence }) = &self.repetition {
            let line = |whose: &str, text: &Repetition| {
                println!(
                    "{whose}: rep-4 {:.3}, distinct-2 {:.3}, longest loop {} words, commonest word \
                     {:.1} %, Zipf slope {:.2}",
                    text.rep_4,
                    text.distinct_2,
                    text.longest_loop,
                    100.0 * text.commonest_share,
                    text.zipf_slope,
                );
            };
            line("the model's passage", passage);
            line("the text", human);
            println!(
                "a sentence's words have probability {:.3} at first, {:.3} after 1 copy, {:.3} after \
                 2, {:.3} after 4",
                sentence.none, sentence.one, sentence.two, sentence.four,
            );
        }
    }
}
