//! The same river without the trainer: writes the tokenized stream to files.

mod writers;

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Instant,
};

use crossbeam_channel::RecvTimeoutError;
use operators::{batch::Batch, chunk::Cutter, record::Lesson, vocabulary::Vocabulary};
use serde::{Deserialize, Serialize};

use crate::{
    control::Helm,
    drive::{Lexicon, Past, Reins},
    error::RunError,
    job::Job,
    learner::{LearnerError, PATROL, Seat},
    listing::Had,
    training::{Before, train},
};
use writers::Writer;

/// How the stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// `words.arrow`: one row a document, with its lineage, words and vectors, as Arrow IPC.
    Arrow,
    /// `words.parquet`: the same without the vectors.
    Parquet,
    /// `NAME.txt` for each orthography: words parted by spaces.
    Text,
    /// `words.u32`: little-endian ids, and `vocabulary.tsv`: id, surface, count.
    Ids,
}

/// What an export came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Exported {
    /// Pages that gave a document, duplicates not counted.
    pub pages: u64,
    /// Entries that could not be used, duplicates among them.
    pub rejected: u64,
    /// Characters of the documents.
    pub characters: u64,
    /// Words of the documents.
    pub words: u64,
    /// Bytes of the pages that were under way at once, at most.
    pub most_bytes_in_flight: u64,
    /// Seconds from the start of the river to the last file's end.
    pub seconds: f64,
    /// The files written.
    pub files: Vec<PathBuf>,
    /// Why entries were rejected, if any were: a line of JSON each, as in a run's `rejects.jsonl`, duplicates
    /// among them.
    pub rejects: Option<PathBuf>,
}

/// Runs the job's river to its end and writes what comes out to files in `folder`.
///
/// The run directory is used for its kept pages only; nothing is resumed, nothing is held out, and
/// every document is written.
///
/// # Errors
/// As [`crate::run::run`], and if a file cannot be written.
pub fn export(
    job: &Job,
    format: ExportFormat,
    folder: &Path,
    reins: &Reins,
) -> Result<Exported, RunError> {
    let mut job = job.clone();
    job.held_out.share = 0.0;
    let lexicon = Lexicon::open(&job)?;
    let mut writer = Writer::create(format, folder)?;
    let cutter = Cutter::new(job.chunk.words, 0, Vocabulary::default().len(), Vec::new());
    let drain = reins.drain.clone();
    let helm = Helm::new(&job, None, 0, drain.clone(), reins.events.clone());
    let past = Past {
        last: None,
        had: Had::default(),
        known: Vec::new(),
        helm,
        told: Vec::new(),
        drawn: None,
    };
    let gauges = past.helm.gauges().clone();
    let before = Before { past, vocabulary: Vocabulary::default(), cutter };
    train(&job, reins, lexicon, before, move |seat: &Seat| {
        let mut exported = Exported::default();
        let begun = Instant::now();
        while !drain.load(Ordering::Acquire) {
            let lesson = match seat.lessons.recv_timeout(PATROL) {
                Ok(lesson) => lesson,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Err(LearnerError::Stopped.into()),
            };
            seat.waker.wake(); // there is room in the channel again
            match lesson {
                Lesson::Read(reading) => {
                    for words in reading.words.iter() {
                        exported.pages += 1;
                        exported.characters += words.characters;
                        exported.words += words.keys.len() as u64;
                    }
                    writer.document(&reading)?;
                }
                Lesson::Chunk(chunk) => writer.chunk(&chunk)?,
                Lesson::Ended => break,
                Lesson::Closed(epoch, rejects) => {
                    for reject in rejects.iter().flat_map(Batch::iter) {
                        exported.rejected += 1;
                        writer.reject(&reject, epoch)?;
                    }
                    let _sink_has_ended = seat.learnt.send(epoch);
                    seat.waker.wake();
                }
            }
        }
        (exported.files, exported.rejects) = writer.finish()?;
        (_, exported.most_bytes_in_flight) = gauges.bytes_in_flight();
        exported.seconds = begun.elapsed().as_secs_f64();
        Ok(exported)
    })
}
