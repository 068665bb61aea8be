//! Epochs that were drawn while an endless source took part, kept until they are committed.
//!
//! What an endless source has offered when an epoch is drawn depends on the day, so the epoch cannot
//! be drawn again: it is written down, and synced, before it is opened. A run that goes on takes the
//! epochs after its last commit from here.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use operators::{Epoch, catalogue::Line};
use serde::{Deserialize, Serialize};

/// One epoch, a line of the file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Drawing {
    epoch: Epoch,
    lines: Vec<Line>,
}

/// The file, open to be appended to.
pub(crate) struct DrawnEpochs {
    path: PathBuf,
    // Made with the first epoch that is written: most runs have no endless source.
    file: Option<File>,
}

/// Epochs to come that are drawn already, ascending.
pub(crate) type Replay = VecDeque<(Epoch, Vec<Line>)>;

impl DrawnEpochs {
    /// Reads the file, if there is one: its epochs after `last`. Those up to `needless` are
    /// forgotten; a line that a kill has cut off was never opened, and is forgotten too.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is something else.
    pub fn open(
        path: &Path,
        needless: Option<Epoch>,
        last: Option<Epoch>,
    ) -> io::Result<(Self, Replay)> {
        let path = path.to_owned();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Self { path, file: None }, Replay::new()));
            }
            text => text?,
        };
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let mut drawings = Vec::new();
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let drawing: Drawing = serde_json::from_slice(line).map_err(io::Error::other)?;
            drawings.push(drawing);
        }
        drawings.retain(|drawing| needless.is_none_or(|needless| drawing.epoch > needless));
        let aside = path.with_extension("jsonl.writing");
        let mut file = File::create(&aside)?;
        for drawing in &drawings {
            write(&mut file, drawing)?;
        }
        file.sync_data()?;
        fs::rename(&aside, &path)?;
        drawings.retain(|drawing| last.is_none_or(|last| drawing.epoch > last));
        let replay = drawings.into_iter().map(|drawing| (drawing.epoch, drawing.lines)).collect();
        Ok((Self { path, file: Some(file) }, replay))
    }

    /// Writes an epoch down; once this returns, a kill cannot undo it.
    ///
    /// # Errors
    /// If the disk is full, say.
    pub fn append(&mut self, epoch: Epoch, lines: &[Line]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = File::create(&self.path)?;
                // The file's name, too, must outlast a kill of the machine.
                if let Some(folder) = self.path.parent() {
                    File::open(folder)?.sync_all()?;
                }
                self.file.insert(file)
            }
        };
        write(file, &Drawing { epoch, lines: lines.to_vec() })?;
        file.sync_data()
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn write(file: &mut File, drawing: &Drawing) -> io::Result<()> {
    let mut line = serde_json::to_vec(drawing).expect("plain data");
    line.push(b'\n');
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use operators::record::Entry;

    use super::*;

    fn lines(id: &str) -> Vec<Line> {
        let entry = Arc::new(Entry { id: id.into(), ..Entry::default() });
        vec![Line::Read(entry.clone()), Line::Unusable(entry, "line 3".into())]
    }

    #[test]
    fn epochs_after_the_last_commit_come_back_and_a_torn_line_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("drawn.jsonl");
        let open = |needless, last| DrawnEpochs::open(&path, needless, last).expect("readable");
        let (mut drawn, replay) = open(None, None);
        assert!(replay.is_empty() && !path.exists());
        for epoch in 3..7 {
            drawn.append(epoch, &lines(&epoch.to_string())).expect("room");
        }
        let torn = br#"{"epoch":7,"lines":[{"re"#;
        let mut file = File::options().append(true).open(&path).expect("it is there");
        file.write_all(torn).expect("room");

        // Up to 3 nobody can want it again, up to 4 it is committed.
        let (mut drawn, replay) = open(Some(3), Some(4));
        assert_eq!(replay, [(5, lines("5")), (6, lines("6"))]);
        drawn.append(7, &lines("7")).expect("room");
        let (_, replay) = open(Some(3), None);
        assert_eq!(replay.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [4, 5, 6, 7]);
    }
}
