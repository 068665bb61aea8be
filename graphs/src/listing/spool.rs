//! Keeps what cannot be read again: lines, on the disk before anybody hears of them.
//!
//! A source's spool is one file of the run directory that only grows. A line is in it once, whatever
//! comes twice; the end of a line that was being written when the process was killed is cut off.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use operators::{
    container::{self, Address, Record},
    fetch::Url,
};
use sha2::{Digest, Sha256};

/// The spool of a source.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    file: File,
    length: u64,
    // The first 128 bits of the SHA-256 of every line.
    known: HashSet<u128>,
}

impl Spool {
    /// Opens the spool of the source `name`, made if need be.
    pub fn open(run: &Path, name: &str) -> io::Result<Self> {
        let folder = std::path::absolute(run)?.join("spool");
        fs::create_dir_all(&folder)?;
        let path = folder.join(file_name(name));
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        let length = whole_lines(&mut file)?;
        file.set_len(length)?;
        file.sync_all()?;
        File::open(&folder)?.sync_all()?;
        let mut spool = Self { path, file, length, known: HashSet::new() };
        let mut known = HashSet::new();
        spool.each(|_, _, line| {
            known.insert(fingerprint_of(line));
        })?;
        spool.known = known;
        Ok(spool)
    }

    /// Hands over every line, with its number, from 1, and its place.
    pub fn each(&self, mut give: impl FnMut(u64, Range<u64>, &[u8])) -> io::Result<()> {
        container::lines(File::open(&self.path)?, u64::MAX - 1, &mut |line| {
            give(line.number, line.bytes, line.content.expect("no line is too long here"));
        })
    }

    /// Adds the lines that are new, and returns the places of those, in order, once they are on the
    /// disk; `None` for a line that is known.
    pub fn add(&mut self, lines: &[Vec<u8>]) -> io::Result<Vec<Option<Range<u64>>>> {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for line in lines {
            let line = line.trim_ascii();
            let is_new = self.known.insert(fingerprint_of(line));
            places.push(is_new.then(|| {
                let start = self.length + bytes.len() as u64;
                bytes.extend_from_slice(line);
                bytes.push(b'\n');
                start..start + line.len() as u64
            }));
        }
        if !bytes.is_empty() {
            self.file.seek(SeekFrom::Start(self.length))?;
            self.file.write_all(&bytes)?;
            self.file.sync_data()?;
            self.length += bytes.len() as u64;
        }
        Ok(places)
    }

    /// The address of a record in it.
    pub fn url(&self, record: Record) -> String {
        let mut url = Url::from_file_path(&self.path).expect("its path is absolute");
        url.set_fragment(Address::of(record).fragment().as_deref());
        url.into()
    }
}

fn fingerprint_of(line: &[u8]) -> u128 {
    let hash: [u8; 32] = Sha256::digest(line).into();
    let (first, _) = hash.split_first_chunk().expect("32 bytes start with 16");
    u128::from_be_bytes(*first)
}

/// How much of the file is whole lines.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const PIECE: u64 = 1 << 16;
    let mut end = file.metadata()?.len();
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        (&mut *file).take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// A name for a file: a source may be called anything.
fn file_name(source: &str) -> String {
    let letter = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    source.bytes().map(letter).collect::<String>() + ".jsonl"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(of: &[&str]) -> Vec<Vec<u8>> {
        of.iter().map(|line| line.as_bytes().to_vec()).collect()
    }

    fn held(spool: &Spool) -> Vec<String> {
        let mut held = Vec::new();
        let take = |_, _, line: &[u8]| held.push(String::from_utf8(line.to_vec()).expect("text"));
        spool.each(take).expect("readable");
        held
    }

    #[test]
    fn a_line_is_kept_once_and_a_torn_one_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || Spool::open(folder.path(), "a/../b").expect("room");
        let mut spool = open();
        let places = spool.add(&lines(&["one", "two\r\n", "one"])).expect("room");
        assert_eq!(places, [Some(0..3), Some(4..7), None]);
        drop(spool);
        let path = folder.path().join("spool/a%2f%2e%2e%2fb.jsonl");
        let mut file = File::options().append(true).open(&path).expect("it has a name of its own");
        file.write_all(b"thr").expect("room");
        let mut spool = open();
        assert_eq!(held(&spool), ["one", "two"]);
        assert_eq!(spool.add(&lines(&["two", "three"])).expect("room"), [None, Some(8..13)]);
        assert_eq!(held(&open()), ["one", "two", "three"]);
    }
}
