//! Trains a model on a file of ids, without a river, and tells what it took: what the benchmarks compare
//! with PyTorch, one softmax with the other, and the streaming job with its parts.
//!
//! ```text
//! seseragi export JOB.toml --to corpus --format ids
//! cargo run --release -p bench-programs --bin bench-learn -- '{"ids": "corpus/words.u32", "rows": 20000}'
//! ```
//!
//! The argument is JSON with the keys of [`Asked`]. Prints a line of JSON, and before it one for each chunk
//! where held-out ids are scored.
#![allow(clippy::print_stdout)] // what it found

use std::{error::Error, ops::ControlFlow, path::PathBuf, time::Instant};

use model::optimizer::AdamConstants;
use model::{
    Cell, Clip, Decay, NewRow, Optimizer, Precision, Regularization, Schedule, Score, Settings,
    Shape, Softmax, Trainer, Vectors,
    device::{self, DeviceChoice},
};
use serde::Deserialize;
use serde_json::json;

/// The program's, with settings of its own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is to be trained, and on what.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    /// Little-endian `u32` ids, as `seseragi export` writes them.
    ids: PathBuf,
    /// Rows of the model; greater ids are taken modulo this. 0: as many as the ids met so far need,
    /// chunk after chunk, as in a job.
    rows: u32,
    layers: usize,
    hidden: usize,
    embedding: usize,
    tied: bool,
    /// Cutoffs of an adaptive softmax; empty for the full one.
    cutoffs: Vec<usize>,
    batch: usize,
    sequence: usize,
    threads: usize,
    /// `cpu`, `cuda:0`, or `auto`.
    device: DeviceChoice,
    precision: Precision,
    rate: f64,
    /// Steps in which the rate falls to nothing, along a cosine; 0: it stays as it is.
    cosine: u64,
    clip: f64,
    /// Ids in a chunk; 0: as many as the counted steps need.
    chunk: usize,
    /// Steps that are counted; 0: all ids, once.
    steps: usize,
    /// Steps before them that are not.
    warm: usize,
    /// Ids at the file's end that are scored after each chunk, and not learnt.
    held_out: usize,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            ids: PathBuf::new(),
            rows: 0,
            layers: 1,
            hidden: 256,
            embedding: 128,
            tied: true,
            cutoffs: Vec::new(),
            batch: 32,
            sequence: 64,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            device: DeviceChoice::Cpu,
            precision: Precision::Float32,
            rate: 2e-3,
            cosine: 0,
            clip: 1.0,
            chunk: 0,
            steps: 0,
            warm: 0,
            held_out: 0,
        }
    }
}

impl Asked {
    fn settings(&self) -> Settings {
        Settings {
            shape: Shape {
                cell: Cell::Lstm,
                layers: self.layers,
                hidden: self.hidden,
                embedding: self.embedding,
                tied: self.tied,
                dropout: 0.0,
                identity: 1.0,
                softmax: match &self.cutoffs[..] {
                    [] => Softmax::Full,
                    cutoffs => Softmax::Adaptive { cutoffs: cutoffs.to_vec(), reduction: 4 },
                },
            },
            vectors: Vectors::Tuned,
            optimizer: Optimizer::Adam(AdamConstants::default()),
            schedule: match self.cosine {
                0 => Schedule::constant(self.rate),
                steps => {
                    Schedule { decay: Decay::Cosine { steps }, ..Schedule::constant(self.rate) }
                }
            },
            clip: Clip::Norm(self.clip),
            batch: self.batch,
            sequence: self.sequence,
            passes: 1,
            precision: self.precision,
            average: 0.0,
            regularization: Regularization::default(),
        }
    }

    /// The ids to learn, and those to score.
    fn read(&self) -> Result<(Vec<u32>, Vec<u32>), Box<dyn Error>> {
        let bytes = std::fs::read(&self.ids)
            .map_err(|error| format!("could not read \"{}\": {error}", self.ids.display()))?;
        let id = |four: &[u8; 4]| match (u32::from_le_bytes(*four), self.rows) {
            (id, 0) => id,
            (id, rows) => id % rows,
        };
        let mut ids: Vec<u32> = bytes.as_chunks().0.iter().map(id).collect();
        let held_out = ids.split_off(ids.len().saturating_sub(self.held_out));
        Ok((ids, held_out))
    }
}

/// Gives the trainer rows up to this number.
fn grow(trainer: &mut Trainer, rows: usize) -> Result<(), model::Error> {
    let missing = rows.saturating_sub(trainer.network().rows());
    trainer.append_rows(&vec![NewRow { vector: None, parts: &[] }; missing])
}

fn main() -> Result<(), Box<dyn Error>> {
    device::keep_freed_memory(); // as seseragi does
    let argument = std::env::args().nth(1).ok_or("give what to learn, as JSON")?;
    let asked: Asked = serde_json::from_str(&argument)?;
    device::set_threads(asked.threads);
    let (ids, held_out) = asked.read()?;
    let mut trainer = Trainer::new(&asked.settings(), 1, asked.device.resolve()?)?;
    grow(&mut trainer, asked.rows as usize)?;

    let window = asked.batch * asked.sequence;
    let chunk = match (asked.chunk, asked.steps) {
        (0, 0) => ids.len(),
        (0, steps) => steps * window,
        (chunk, _) => chunk,
    };
    // Steps that are counted may need the ids more than once.
    let wanted = if asked.steps > 0 { asked.steps * window } else { ids.len() };
    let stream: Vec<u32> = ids.iter().cycle().take(asked.warm * window + wanted).copied().collect();
    let (warm, counted) = stream.split_at(asked.warm * window);
    let mut seconds = 0.0;
    let (mut steps, mut loss, mut last_loss) = (0, Score::default(), f64::NAN);
    let documents: Vec<&[u32]> = held_out.chunks(1000).collect();
    if !warm.is_empty() {
        trainer.learn(warm, &mut |_: &_| ControlFlow::Continue(()))?;
    }
    for (number, words) in counted.chunks(chunk).enumerate() {
        let begun = Instant::now();
        if asked.rows == 0 {
            grow(&mut trainer, words.iter().max().map_or(0, |&id| id as usize + 1))?;
        }
        let report = trainer.learn(words, &mut |step: &model::StepReport| {
            last_loss = step.score.mean();
            ControlFlow::Continue(())
        })?;
        seconds += begun.elapsed().as_secs_f64();
        steps += report.steps;
        loss += report.prequential;
        if !documents.is_empty() {
            let score: Score = trainer.network().score_documents(&documents)?.into_iter().sum();
            let line = json!({ "chunk": number, "seconds": seconds, "held_out": score.mean() });
            println!("{line}");
        }
    }
    let outcome = json!({
        "steps": steps,
        "words": counted.len(),
        "seconds": seconds,
        "words_per_second": counted.len() as f64 / seconds,
        "loss": loss.mean(),
        "last_loss": last_loss,
        "rows": trainer.network().rows(),
    });
    println!("{outcome}");
    Ok(())
}
