//! What became of every entry: the account that a checkpoint keeps of what its model was made from.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use arrow_array::{
    Array, RecordBatch, StringArray, StructArray, UInt8Array, UInt64Array, cast::AsArray,
    types::UInt64Type,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use operators::{
    Epoch,
    record::{Entry, Record, Stage},
};
use serde::{Deserialize, Serialize};

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Fate {
    /// Its text is in the chunks.
    Learnt,
    /// Its text is kept for scoring and never trained on.
    HeldOut,
    /// Another entry before it has the same text.
    Duplicate,
    /// It could not be used.
    Rejected,
    /// It was there once, and the library has it no more; what was learnt of it stays learnt.
    Withdrawn,
}

impl Fate {
    const ALL: [Self; 5] =
        [Self::Learnt, Self::HeldOut, Self::Duplicate, Self::Rejected, Self::Withdrawn];
}

/// One line of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
    /// The epoch that it came in.
    pub epoch: Epoch,
    /// What became of it.
    pub fate: Fate,
    /// The stage and the reason, if it was not used.
    pub reason: Option<(Stage, String)>,
    /// SHA-256 of the page, in hexadecimal; empty if there was none.
    pub content: String,
    /// The first 128 bits of the text's SHA-256, in hexadecimal; empty if there was none.
    pub fingerprint: String,
    /// Characters of its text.
    pub characters: u64,
    /// Words of its text.
    pub words: u64,
    /// Words that had to be spelled.
    pub spelled: u64,
    /// Ids that it was written in, the end of document counted.
    pub ids: u64,
    /// The chunk that its first word is in; of a held-out document, the chunk it came beside.
    pub chunk: u64,
    /// The chunk that its last word is in.
    pub last_chunk: u64,
}

impl Line {
    /// What became of an entry of which no text was read.
    pub fn without_text(entry: Entry, epoch: Epoch, fate: Fate) -> Self {
        Self {
            entry,
            epoch,
            fate,
            reason: None,
            content: String::new(),
            fingerprint: String::new(),
            characters: 0,
            words: 0,
            spelled: 0,
            ids: 0,
            chunk: 0,
            last_chunk: 0,
        }
    }
}

/// A reject as `rejects.jsonl` has it, a line each.
pub fn reject(entry: &Entry, epoch: Epoch, stage: Stage, reason: &str) -> serde_json::Value {
    serde_json::json!({
        "source": entry.source, "id": entry.id, "title": entry.title, "url": entry.url,
        "epoch": epoch, "stage": stage, "reason": reason,
    })
}

/// How many entries met each fate, and how much text was learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Entries in all.
    pub entries: u64,
    /// Entries learnt.
    pub learnt: u64,
    /// Entries held out.
    pub held_out: u64,
    /// Entries whose text was there already.
    pub duplicates: u64,
    /// Entries that could not be used.
    pub rejected: u64,
    /// Notices that an entry before was taken back.
    pub withdrawn: u64,
    /// Characters learnt.
    pub characters: u64,
    /// Words learnt.
    pub words: u64,
    /// Words learnt that had to be spelled.
    pub spelled: u64,
}

impl Account {
    /// Adds a line.
    pub fn add(&mut self, line: &Line) {
        self.entries += 1;
        match line.fate {
            Fate::Learnt => {
                self.learnt += 1;
                self.characters += line.characters;
                self.words += line.words;
                self.spelled += line.spelled;
            }
            Fate::HeldOut => self.held_out += 1,
            Fate::Duplicate => self.duplicates += 1,
            Fate::Rejected => self.rejected += 1,
            Fate::Withdrawn => self.withdrawn += 1,
        }
    }

    /// Adds another account.
    pub fn join(&mut self, other: &Self) {
        let Self {
            entries,
            learnt,
            held_out,
            duplicates,
            rejected,
            withdrawn,
            characters,
            words,
            spelled,
        } = *other;
        self.entries += entries;
        self.learnt += learnt;
        self.held_out += held_out;
        self.duplicates += duplicates;
        self.rejected += rejected;
        self.withdrawn += withdrawn;
        self.characters += characters;
        self.words += words;
        self.spelled += spelled;
    }

    /// The accounts of these lines, each source its own.
    pub fn of_sources(lines: &[Line]) -> BTreeMap<String, Self> {
        let mut accounts: BTreeMap<String, Self> = BTreeMap::new();
        for line in lines {
            accounts.entry(line.entry.source.clone()).or_default().add(line);
        }
        accounts
    }

    /// The account of these lines.
    pub fn of(lines: &[Line]) -> Self {
        let mut account = Self::default();
        lines.iter().for_each(|line| account.add(line));
        account
    }
}

static NUMBERS: [&str; 7] =
    ["epoch", "characters", "words", "spelled", "ids", "chunk", "last_chunk"];

fn numbers(line: &Line) -> [u64; 7] {
    let Line { epoch, characters, words, spelled, ids, chunk, last_chunk, .. } = *line;
    [epoch, characters, words, spelled, ids, chunk, last_chunk]
}

/// The columns of a written account.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let entry = DataType::Struct(Entry::schema().fields().clone());
        let mut fields = vec![
            Field::new("entry", entry, false),
            Field::new("fate", DataType::UInt8, false),
            Field::new("stage", DataType::Utf8, true),
            Field::new("reason", DataType::Utf8, true),
            Field::new("content", DataType::Utf8, false),
            Field::new("fingerprint", DataType::Utf8, false),
        ];
        fields.extend(NUMBERS.map(|name| Field::new(name, DataType::UInt64, false)));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// Writes lines into a batch.
pub fn encode(lines: &[Line]) -> RecordBatch {
    let entries = Entry::encode(lines.iter().map(|line| line.entry.clone()));
    let stage = |line: &Line| line.reason.as_ref().map(|(stage, _)| stage.to_string());
    let reason = |line: &Line| line.reason.as_ref().map(|(_, reason)| reason.clone());
    let mut columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(StructArray::from(entries)),
        Arc::new(UInt8Array::from_iter_values(lines.iter().map(|line| line.fate as u8))),
        Arc::new(lines.iter().map(stage).collect::<StringArray>()),
        Arc::new(lines.iter().map(reason).collect::<StringArray>()),
        Arc::new(StringArray::from_iter_values(lines.iter().map(|line| &line.content))),
        Arc::new(StringArray::from_iter_values(lines.iter().map(|line| &line.fingerprint))),
    ];
    columns.extend((0..NUMBERS.len()).map(|index| {
        let column = lines.iter().map(|line| numbers(line)[index]);
        Arc::new(UInt64Array::from_iter_values(column)) as Arc<dyn Array>
    }));
    RecordBatch::try_new(schema(), columns).expect("columns made for this schema")
}

/// Reads what [`encode`] wrote; `None` if the batch is something else.
pub fn decode(batch: &RecordBatch) -> Option<Vec<Line>> {
    if batch.schema().fields() != schema().fields() {
        return None;
    }
    let text = |name| batch[name].as_string::<i32>();
    let number = |name| batch[name].as_primitive::<UInt64Type>();
    let entries = RecordBatch::from(batch["entry"].as_struct());
    let fates: &UInt8Array = batch["fate"].as_primitive();
    (0..batch.num_rows())
        .map(|row| {
            let stage = text("stage");
            let reason = match stage.is_valid(row) {
                true => Some((
                    serde_json::from_value(stage.value(row).into()).ok()?,
                    text("reason").value(row).to_owned(),
                )),
                false => None,
            };
            Some(Line {
                entry: Entry::row(&entries, row),
                epoch: number("epoch").value(row),
                fate: *Fate::ALL.get(usize::from(fates.value(row)))?,
                reason,
                content: text("content").value(row).to_owned(),
                fingerprint: text("fingerprint").value(row).to_owned(),
                characters: number("characters").value(row),
                words: number("words").value(row),
                spelled: number("spelled").value(row),
                ids: number("ids").value(row),
                chunk: number("chunk").value(row),
                last_chunk: number("last_chunk").value(row),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_comes_back_as_it_was_written() {
        let line = |sequence, fate, reason| Line {
            entry: Entry { sequence, id: format!("1/{sequence}"), ..Entry::default() },
            epoch: sequence / 2,
            fate,
            reason,
            content: "ab".into(),
            fingerprint: "cd".into(),
            characters: 10,
            words: 6,
            spelled: 1,
            ids: 8,
            chunk: 3,
            last_chunk: 4,
        };
        let lines = [
            line(0, Fate::Learnt, None),
            line(1, Fate::HeldOut, None),
            line(2, Fate::Rejected, Some((Stage::Fetch, "status 404".into()))),
        ];
        assert_eq!(decode(&encode(&lines)).as_deref(), Some(&lines[..]));
        assert_eq!(decode(&encode(&[])).as_deref(), Some(&[][..]));
        let account = Account::of(&lines);
        assert_eq!((account.entries, account.learnt, account.words), (3, 1, 6));
        let mut joined = Account::of(&lines[..1]);
        joined.join(&Account::of(&lines[1..]));
        assert_eq!(joined, account);
        assert_eq!(Account::of_sources(&lines), [(String::new(), account)].into());
    }
}
