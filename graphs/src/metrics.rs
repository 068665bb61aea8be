//! `metrics.jsonl`: one line a measurement, over the whole life of a run.
//!
//! A checkpoint holds how long the file was, and a resumed run cuts it there: so no chunk is told of
//! twice, however often the run was killed.

pub mod series;

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::Serialize;

/// The file, open for appending.
#[derive(Debug)]
pub struct Metrics {
    file: File,
    path: PathBuf,
    bytes: u64,
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'a str,
    /// Seconds since 1970.
    time: f64,
    #[serde(flatten)]
    data: &'a T,
}

impl Metrics {
    /// Opens the file and cuts it to the length that it had at the commit.
    ///
    /// # Errors
    /// If the file cannot be opened or cut.
    pub fn open(path: &Path, bytes: u64) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).read(true).open(path)?;
        let bytes = bytes.min(file.metadata()?.len());
        file.set_len(bytes)?;
        file.seek(io::SeekFrom::End(0))?;
        Ok(Self { file, path: path.to_owned(), bytes })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// If the disk is full, say.
    pub fn append<T: Serialize>(&mut self, kind: &str, data: &T) -> io::Result<()> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let time = since.unwrap_or_default().as_secs_f64();
        let mut line = serde_json::to_vec(&Line { kind, time, data }).expect("plain data");
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// The file once more, for another thread to have it on the disk.
    ///
    /// # Errors
    /// If the process has too many files open.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The length of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
