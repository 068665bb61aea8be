//! The river's half of a checkpoint: everything but the model's tensors, as Arrow files.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use arrow_array::{
    Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
    cast::AsArray,
    types::{UInt32Type, UInt64Type},
};
use arrow_ipc::{reader::FileReader, writer::FileWriter};
use arrow_schema::{ArrowError, SchemaRef};
use operators::{
    batch::Batch,
    record::{Words, admitted_kept, admitted_to_keep},
    vocabulary::Vocabulary,
};
use serde::{Deserialize, Serialize};

use super::{CheckpointError, failed};
use crate::{
    learner::reservoir::Reservoir,
    ledger::{self, Line},
};

/// Where the counters stood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// The number that the next entry gets.
    pub next_sequence: u64,
    /// The number that the next chunk gets.
    pub next_chunk: u64,
    /// The last epoch at which the catalogue had been read to its end.
    pub completed: Option<operators::Epoch>,
    /// The one before that: what came between the two is what changed in the library.
    pub completed_before: Option<operators::Epoch>,
    /// Bytes of `metrics.jsonl` that belong to the checkpoint.
    pub metrics_bytes: u64,
    /// Seconds of training, over all processes that have run the job.
    pub training_seconds: f64,
}

/// What the river knows at a commit.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Words, their ids and counts.
    pub vocabulary: Vocabulary,
    /// Ids that no chunk holds yet.
    pub pending: Vec<u32>,
    /// Surfaces with ids that the model has no rows for yet: those of `pending`.
    pub admitted: Vec<RecordBatch>,
    /// The documents that models are scored on.
    pub held_out: Vec<Batch<Words>>,
    /// What became of every entry.
    pub ledger: Vec<Line>,
    /// What was learnt before, to be learnt again.
    pub reservoir: Reservoir,
}

const VOCABULARY: &str = "vocabulary.arrow";
const COUNTS: &str = "counts.arrow";
const PENDING: &str = "pending.arrow";
const ADMITTED: &str = "admitted.arrow";
const HELD_OUT: &str = "held_out.arrow";
const LEDGER: &str = "ledger.arrow";
const RESERVOIR: &str = "reservoir.arrow";

impl State {
    /// Writes the files into `folder`; they are not synced yet.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CheckpointError> {
        let surfaces = StringArray::from_iter_values(self.vocabulary.surfaces());
        let mut counts: Vec<(&str, u64)> = self.vocabulary.counts().collect();
        counts.sort_unstable(); // equal states give equal files
        let counted = StringArray::from_iter_values(counts.iter().map(|(surface, _)| surface));
        let times = UInt64Array::from_iter_values(counts.iter().map(|(_, count)| *count));
        let pending = UInt32Array::from(self.pending.clone());
        // Vectors serve admission, and held-out words are never admitted.
        let held_out =
            self.held_out.iter().map(|words| Words::without_vectors(words.rows())).collect();
        let files = [
            (VOCABULARY, vec![columns([("surface", Arc::new(surfaces))])]),
            (COUNTS, vec![columns([("surface", Arc::new(counted)), ("count", Arc::new(times))])]),
            (PENDING, vec![columns([("id", Arc::new(pending))])]),
            (ADMITTED, self.admitted.iter().map(admitted_to_keep).collect()),
            (HELD_OUT, held_out),
            (LEDGER, vec![ledger::encode(&self.ledger)]),
            (RESERVOIR, vec![self.reservoir.encode()]),
        ];
        for (name, batches) in files {
            let path = folder.join(name);
            write_batches(&path, &batches).map_err(failed("write", &path))?;
        }
        Ok(())
    }

    /// Reads a checkpoint that was found valid.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what [`super::write`] writes.
    pub fn read(folder: &Path) -> Result<Self, CheckpointError> {
        let read = |name: &str| {
            let path = folder.join(name);
            read_batches(&path).map_err(|error| CheckpointError::Damaged {
                path: path.clone(),
                reason: error.to_string(),
            })
        };
        let (surfaces, counts) = (read(VOCABULARY)?, read(COUNTS)?);
        let text = |batch: &RecordBatch| -> Vec<String> {
            batch["surface"].as_string::<i32>().iter().flatten().map(str::to_owned).collect()
        };
        let times = |batch: &RecordBatch| batch["count"].as_primitive::<UInt64Type>().clone();
        let vocabulary = Vocabulary::from_parts(
            surfaces.iter().flat_map(text),
            counts
                .iter()
                .flat_map(|batch| text(batch).into_iter().zip(times(batch).values().to_vec())),
        );
        let other = |name: &str, what: &str| CheckpointError::Damaged {
            path: folder.join(name),
            reason: format!("it has other columns than {what}"),
        };
        // A checkpoint of before there was a reservoir begins with an empty one.
        let reservoir = match folder.join(RESERVOIR).exists() {
            true => read(RESERVOIR)?.first().and_then(Reservoir::decode),
            false => Some(Reservoir::default()),
        };
        let ids = |batch: &RecordBatch| batch["id"].as_primitive::<UInt32Type>().values().to_vec();
        let admitted = read(ADMITTED)?.iter().map(admitted_kept).collect::<Option<Vec<_>>>();
        let lines = read(LEDGER)?.iter().map(ledger::decode).collect::<Option<Vec<_>>>();
        Ok(Self {
            vocabulary,
            pending: read(PENDING)?.iter().flat_map(ids).collect(),
            admitted: admitted.ok_or_else(|| other(ADMITTED, "admitted words"))?,
            held_out: read(HELD_OUT)?.into_iter().map(|rows| Batch::from_rows(0, rows)).collect(),
            ledger: lines.map(|l| l.concat()).ok_or_else(|| other(LEDGER, "a ledger"))?,
            reservoir: reservoir.ok_or_else(|| other(RESERVOIR, "a reservoir"))?,
        })
    }
}

fn columns<const N: usize>(columns: [(&str, Arc<dyn Array>); N]) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("columns of equal length")
}

/// Writes batches of one schema into a file; without any, an empty file stands for them.
pub(crate) fn write_batches(path: &Path, batches: &[RecordBatch]) -> io::Result<()> {
    let Some(first) = batches.first() else { return File::create(path).map(drop) };
    let schema: SchemaRef = first.schema();
    let mut file = BufWriter::new(File::create(path)?);
    let mut writer = FileWriter::try_new(&mut file, &schema).map_err(of_arrow)?;
    for batch in batches {
        writer.write(batch).map_err(of_arrow)?;
    }
    writer.finish().map_err(of_arrow)?;
    drop(writer);
    file.flush()
}

/// Reads what [`write_batches`] wrote.
pub(crate) fn read_batches(path: &Path) -> io::Result<Vec<RecordBatch>> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(Vec::new());
    }
    let reader = FileReader::try_new(BufReader::new(file), None).map_err(of_arrow)?;
    reader.collect::<Result<_, _>>().map_err(of_arrow)
}

/// Keeps the system's own error where there is one, so that a full disk is called that.
fn of_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        other => io::Error::other(other),
    }
}
