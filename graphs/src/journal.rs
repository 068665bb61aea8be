//! What was asked of a run while it ran, each with the epoch from which on it holds.
//!
//! `journal.jsonl` in the run directory has a line a command. It is synced before the command takes
//! effect, so a run that is killed and goes on from an earlier commit meets the same commands at the
//! same epochs: what comes out is a function of the journal, too.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    time::SystemTime,
};

use operators::Epoch;
use serde::{Deserialize, Serialize};

use crate::job::Source;

/// A change of what is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// A source takes part.
    Attach {
        /// As it would stand in a job file.
        source: Source,
    },
    /// A source takes no part any more.
    Detach {
        /// Its name.
        name: String,
    },
}

/// A change and the first epoch that it holds for.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The epoch.
    pub epoch: Epoch,
    /// The change.
    pub change: Change,
}

#[derive(Serialize, Deserialize)]
struct Line<C> {
    epoch: Epoch,
    time: f64,
    command: C,
}

/// Appends a change; once this returns, a kill cannot undo it.
///
/// # Errors
/// If the disk is full, say.
pub fn append(path: &Path, epoch: Epoch, change: &Change) -> io::Result<()> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let time = since.unwrap_or_default().as_secs_f64();
    let line = Line { epoch, time, command: change };
    let mut line = serde_json::to_vec(&line).expect("plain data");
    line.push(b'\n');
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        text => text?,
    };
    let mut file = File::options().create(true).append(true).open(path)?;
    file.set_len(whole(&text).len() as u64)?; // a line that a kill has cut off never held
    file.write_all(&line)?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The changes that were written down, in their order. Commands of other kinds are passed over.
///
/// # Errors
/// If the file cannot be read, or has a line that is no command.
pub fn read(path: &Path) -> io::Result<Vec<Settled>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let mut settled = Vec::new();
    for line in whole(&text).split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line<serde_json::Value> = serde_json::from_slice(line)?;
        let (epoch, command) = (line.epoch, line.command);
        if ["attach", "detach"].iter().any(|kind| command.get(kind).is_some()) {
            let change = serde_json::from_value(command)?;
            settled.push(Settled { epoch, change });
        }
    }
    Ok(settled)
}

/// The lines that have an end.
fn whole(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Sample;

    #[test]
    fn what_was_asked_comes_back_and_a_torn_line_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal.jsonl");
        assert_eq!(read(&path).expect("none yet"), []);
        let source = Source::Sample(Sample { name: "brook".into(), ..Sample::default() });
        let attach = Change::Attach { source };
        let detach = Change::Detach { name: "brook".into() };
        append(&path, 3, &attach).expect("room");
        let mut file = File::options().append(true).open(&path).expect("it is there");
        let scale = br#"{"epoch":4,"time":1.5,"command":{"scale":{"workers":3}}}"#;
        file.write_all(scale).and_then(|()| file.write_all(b"\n{\"epoch\":5,")).expect("room");
        append(&path, 9, &detach).expect("room");
        let expected = [(3, attach), (9, detach)].map(|(epoch, change)| Settled { epoch, change });
        assert_eq!(read(&path).expect("readable"), expected);
    }
}
