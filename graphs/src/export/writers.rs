//! One writer for each format.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use arrow_ipc::writer::FileWriter;
use operators::{
    Epoch,
    record::{Chunk, Reading, Record, RejectRow, Words},
    vocabulary::{DOCUMENT, SURFACES, Vocabulary},
};
use parquet::arrow::ArrowWriter;

use super::ExportFormat;
use crate::{directory, error::ExportError, ledger};

/// Writes one format.
pub(super) struct Writer {
    folder: PathBuf,
    files: Vec<PathBuf>,
    // The list of rejects, once there is one.
    rejects: Option<(PathBuf, BufWriter<File>)>,
    format: Format,
}

enum Format {
    Arrow(Option<FileWriter<BufWriter<File>>>),
    Parquet(ArrowWriter<File>),
    /// By orthography.
    Text(BTreeMap<String, BufWriter<File>>),
    Ids(BufWriter<File>, Vocabulary),
}

/// The text file of works whose orthography is not known.
const UNNAMED: &str = "text";

impl Writer {
    pub fn create(format: ExportFormat, folder: &Path) -> Result<Self, ExportError> {
        let failed = |source| ExportError { path: folder.into(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        // The list of an export before, whose files are written over as well.
        match fs::remove_file(directory::rejects(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut writer = Self {
            folder: folder.into(),
            files: Vec::new(),
            rejects: None,
            format: Format::Arrow(None),
        };
        writer.format = match format {
            ExportFormat::Arrow => Format::Arrow(None),
            ExportFormat::Parquet => {
                let file = writer.file("words.parquet")?;
                let new = ArrowWriter::try_new(file, Words::schema(), None);
                Format::Parquet(new.map_err(|error| failed(error.into()))?)
            }
            ExportFormat::Text => Format::Text(BTreeMap::new()),
            ExportFormat::Ids => {
                Format::Ids(BufWriter::new(writer.file("words.u32")?), Vocabulary::default())
            }
        };
        Ok(writer)
    }

    fn file(&mut self, name: &str) -> Result<File, ExportError> {
        let path = self.folder.join(name);
        let file = File::create(&path).map_err(|source| ExportError { path: path.clone(), source });
        self.files.push(path);
        file
    }

    fn failed(&self, source: io::Error) -> ExportError {
        ExportError { path: self.folder.clone(), source }
    }

    /// Writes one document, whatever of it the format wants.
    pub fn document(&mut self, reading: &Reading) -> Result<(), ExportError> {
        let rows = reading.words.rows();
        let written = match &mut self.format {
            Format::Arrow(Some(writer)) => {
                writer.write(&Words::written_out(rows)).map_err(io::Error::other)
            }
            Format::Arrow(None) => {
                let rows = Words::written_out(rows);
                let file = BufWriter::new(self.file("words.arrow")?);
                let new = FileWriter::try_new(file, &rows.schema()).and_then(|mut writer| {
                    writer.write(&rows)?;
                    Ok(writer)
                });
                new.map_err(io::Error::other).map(|new| self.format = Format::Arrow(Some(new)))
            }
            Format::Parquet(writer) => {
                writer.write(&Words::without_vectors(rows)).map_err(io::Error::from)
            }
            Format::Text(_) => return self.text(reading),
            Format::Ids(_, vocabulary) => {
                reading.enter(vocabulary);
                Ok(())
            }
        };
        written.map_err(|source| self.failed(source))
    }

    fn text(&mut self, reading: &Reading) -> Result<(), ExportError> {
        let words = reading.words.iter().next().expect("a document a batch");
        let name = match words.entry.orthography.as_str() {
            "" => UNNAMED,
            // It is a name from a file of the web: it must not leave the folder.
            name if name.contains(['/', '\0']) || name.starts_with('.') => UNNAMED,
            name => name,
        };
        let has = |writer: &Self| matches!(&writer.format, Format::Text(files) if files.contains_key(name));
        if !has(self) {
            let file = BufWriter::new(self.file(&format!("{name}.txt"))?);
            if let Format::Text(files) = &mut self.format {
                files.insert(name.to_owned(), file);
            }
        }
        let Format::Text(files) = &mut self.format else { return Ok(()) };
        let file = files.get_mut(name).expect("just opened");
        let mut line = String::new();
        for key in words.keys {
            let word = words.surfaces.value(*key as usize);
            if word != "\n" && !line.is_empty() && !line.ends_with('\n') {
                line.push(' ');
            }
            line.push_str(word);
        }
        line.push_str("\n\n"); // an empty line ends a document
        file.write_all(line.as_bytes()).map_err(|source| self.failed(source))
    }

    /// Writes one chunk, if the format wants ids.
    pub fn chunk(&mut self, chunk: &Chunk) -> Result<(), ExportError> {
        let Format::Ids(file, _) = &mut self.format else { return Ok(()) };
        let bytes: Vec<u8> = chunk.ids().iter().flat_map(|id| id.to_le_bytes()).collect();
        file.write_all(&bytes).map_err(|source| self.failed(source))
    }

    /// Writes down why an entry is not among the documents.
    pub fn reject(&mut self, reject: &RejectRow<'_>, epoch: Epoch) -> Result<(), ExportError> {
        let (path, file) = match &mut self.rejects {
            Some(list) => list,
            none => {
                let path = directory::rejects(&self.folder);
                let file = File::create(&path)
                    .map_err(|source| ExportError { path: path.clone(), source })?;
                none.insert((path, BufWriter::new(file)))
            }
        };
        let line = ledger::reject(&reject.entry, epoch, reject.stage, reject.reason);
        writeln!(file, "{line}").map_err(|source| ExportError { path: path.clone(), source })
    }

    /// Ends the files; where they are, and where the rejects are listed, if there are any.
    pub fn finish(mut self) -> Result<(Vec<PathBuf>, Option<PathBuf>), ExportError> {
        let unnamed = Format::Arrow(None);
        let written = match std::mem::replace(&mut self.format, unnamed) {
            Format::Arrow(None) => Ok(()),
            Format::Arrow(Some(mut writer)) => {
                writer.finish().map_err(io::Error::other).and_then(|()| writer.get_mut().flush())
            }
            Format::Parquet(writer) => writer.close().map(drop).map_err(io::Error::from),
            Format::Text(files) => files.into_values().try_for_each(|mut file| file.flush()),
            Format::Ids(mut file, vocabulary) => {
                let table = self.file("vocabulary.tsv")?;
                file.flush().and_then(|()| write_vocabulary(BufWriter::new(table), &vocabulary))
            }
        };
        written.map_err(|source| self.failed(source))?;
        let listed = self.rejects.map(|(path, mut file)| match file.flush() {
            Ok(()) => Ok(path),
            Err(source) => Err(ExportError { path, source }),
        });
        Ok((self.files, listed.transpose()?))
    }
}

/// One line an id: the id, the surface as JSON writes it (it may be a line end), how often it came.
fn write_vocabulary(mut table: impl Write, vocabulary: &Vocabulary) -> io::Result<()> {
    writeln!(table, "{DOCUMENT}\t\"<document>\"\t")?;
    for byte in 0..=255u8 {
        writeln!(table, "{}\t\"<{byte:02x}>\"\t", u32::from(byte) + 1)?;
    }
    for (id, surface) in (SURFACES..).zip(vocabulary.surfaces()) {
        let quoted = serde_json::Value::from(surface);
        writeln!(table, "{id}\t{quoted}\t{}", vocabulary.times(surface))?;
    }
    table.flush()
}
