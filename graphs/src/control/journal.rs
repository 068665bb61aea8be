//! `journal.jsonl`: what a run was told, each command with the epoch that it takes effect from.
//!
//! A line is written and synced before its command takes effect. A line that a kill has torn, the
//! last one without its end, never took effect and is dropped; any other line that cannot be read
//! stops the run, because what follows from it is part of the run.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use operators::Epoch;
use serde::{Deserialize, Serialize};

use super::Command;

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The first epoch that it holds for.
    pub epoch: Epoch,
    /// When it was given, in seconds since 1970; nothing follows from it.
    pub time: f64,
    /// What was commanded.
    pub command: Command,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused.
    #[error("could not use \"{}\": {source}; is the disk full, or read-only?", path.display())]
    File {
        /// The journal.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is no command.
    #[error(
        "could not read line {line} of \"{}\": {reason}; restore it from a backup, or take the \
         line away to go on without the command",
        path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Where a run's journal is.
pub fn path(run: &Path) -> PathBuf {
    run.join("journal.jsonl")
}

/// What a run was told so far.
///
/// # Errors
/// If the file cannot be read, or a line of it is no command.
pub fn read(run: &Path) -> Result<Vec<Entry>, JournalError> {
    let path = path(run);
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|source| JournalError::File { path: path.clone(), source })?,
    };
    parse(whole(&bytes)).map_err(|(line, reason)| JournalError::Damaged { path, line, reason })
}

/// A run's journal, open for appending. Only for the one process that writes to the run.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    // Whole lines end here.
    bytes: u64,
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens a run's journal, and cuts off a torn line.
    ///
    /// # Errors
    /// If it cannot be read or written, or a line of it is no command.
    pub fn open(run: &Path) -> Result<Self, JournalError> {
        let entries = read(run)?;
        let path = path(run);
        let opened = (|| {
            let mut options = OpenOptions::new();
            let mut file =
                options.create(true).truncate(false).read(true).write(true).open(&path)?;
            let bytes = whole(&std::fs::read(&path)?).len() as u64;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            // The name must be as durable as the lines.
            File::open(run)?.sync_all()?;
            Ok((file, bytes))
        })();
        match opened {
            Ok((file, bytes)) => Ok(Self { file, path, bytes, entries }),
            Err(source) => Err(JournalError::File { path, source }),
        }
    }

    /// Appends a command and returns once it is on the disk.
    ///
    /// # Errors
    /// If the disk is full, say; then the journal is as it was before.
    pub fn append(&mut self, epoch: Epoch, command: Command) -> Result<(), JournalError> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let entry = Entry { epoch, time: since.unwrap_or_default().as_secs_f64(), command };
        let mut line = serde_json::to_vec(&entry).expect("a command is plain data");
        line.push(b'\n');
        if let Err(source) = self.file.write_all(&line).and_then(|()| self.file.sync_data()) {
            // Half a line must not become the beginning of the next.
            let _best_effort = self.file.set_len(self.bytes);
            let _best_effort = self.file.seek(SeekFrom::Start(self.bytes));
            return Err(JournalError::File { path: self.path.clone(), source });
        }
        self.bytes += line.len() as u64;
        self.entries.push(entry);
        Ok(())
    }

    /// What the run was told so far.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// The lines that have their end.
fn whole(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    &bytes[..end]
}

fn parse(lines: &[u8]) -> Result<Vec<Entry>, (usize, String)> {
    let lines = lines.split_inclusive(|byte| *byte == b'\n').zip(1..);
    lines
        .map(|(line, number)| {
            serde_json::from_slice(line).map_err(|error| (number, error.to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_again_and_a_torn_line_is_not() {
        let run = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::open(run.path()).expect("a new journal");
        journal.append(3, Command::Scale { workers: 2 }).expect("room");
        journal.append(5, Command::Pause).expect("room");
        let told = |entries: &[Entry]| -> Vec<(Epoch, Command)> {
            entries.iter().map(|entry| (entry.epoch, entry.command.clone())).collect()
        };
        let both = [(3, Command::Scale { workers: 2 }), (5, Command::Pause)];
        assert_eq!(told(&read(run.path()).expect("readable")), both);

        // Killed at any byte of the last line, the first one is left; and the journal goes on.
        let bytes = std::fs::read(path(run.path())).expect("a file");
        let second = bytes.iter().position(|byte| *byte == b'\n').expect("two lines") + 1;
        for end in second..bytes.len() {
            std::fs::write(path(run.path()), &bytes[..end]).expect("room");
            assert_eq!(told(&read(run.path()).expect("readable")), both[..1], "{end}");
            let mut journal = Journal::open(run.path()).expect("a torn line is dropped");
            journal.append(6, Command::Resume).expect("room");
            let after = [both[0].clone(), (6, Command::Resume)];
            assert_eq!(told(&read(run.path()).expect("readable")), after, "{end}");
        }
    }

    #[test]
    fn a_line_that_is_no_command_is_named() {
        let run = tempfile::tempdir().expect("a folder");
        let good = r#"{"epoch":1,"time":0.0,"command":"pause"}"#;
        std::fs::write(path(run.path()), format!("{good}\n{{\"epoch\":2}}\n{good}\n"))
            .expect("room");
        let error = Journal::open(run.path()).expect_err("it is damaged").to_string();
        assert!(error.contains("line 2") && error.contains("time"), "{error}");
    }
}
