//! Opens a file, or a member of an archive, as the stream of bytes that is in it.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;

use super::ContainerError;

/// What kind of file a name tells of, once what it is compressed with is taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One document.
    Whole,
    /// JSON Lines.
    JsonLines,
    /// A header and records, parted by this.
    Csv(u8),
    /// Columns.
    Parquet,
    /// An archive.
    Zip,
}

/// What a file is compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// What a file's name tells.
pub fn told(name: &str) -> (Format, Compression) {
    let lower = name.to_ascii_lowercase();
    let (stem, compression) = match lower.rsplit_once('.') {
        Some((stem, "gz" | "gzip")) => (stem, Compression::Gzip),
        Some((stem, "zst" | "zstd")) => (stem, Compression::Zstd),
        _ => (lower.as_str(), Compression::None),
    };
    let format = match stem.rsplit_once('.') {
        Some((_, "jsonl" | "ndjson")) => Format::JsonLines,
        Some((_, "csv")) => Format::Csv(b','),
        Some((_, "tsv")) => Format::Csv(b'\t'),
        Some((_, "parquet")) => Format::Parquet,
        Some((_, "zip")) => Format::Zip,
        _ => Format::Whole,
    };
    (format, compression)
}

/// Hands over the stream of a file, or of a member of an archive, decompressed as its name tells.
pub fn open<T>(
    path: &Path,
    member: Option<&str>,
    read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
) -> Result<T, ContainerError> {
    let file = File::open(path)?;
    match member {
        None => Ok(decompressed(&path.to_string_lossy(), file, read)?),
        Some(member) => {
            let mut archive = ZipArchive::new(BufReader::new(file))?;
            let stream = archive.by_name(member)?;
            Ok(decompressed(member, stream, read)?)
        }
    }
}

/// The bytes of a file, or of a member of an archive, decompressed as its name tells: so many at most.
pub fn bytes(path: &Path, member: Option<&str>, most: u64) -> Result<Vec<u8>, ContainerError> {
    let mut bytes = Vec::new();
    if member.is_none() && told(&path.to_string_lossy()).1 == Compression::None {
        let file = File::open(path)?;
        // Room for all of it, so that nothing is copied as it grows.
        let length = file.metadata()?.len().min(most) as usize;
        bytes.try_reserve_exact(length).map_err(io::Error::from)?;
        file.take(most).read_to_end(&mut bytes)?;
    } else {
        open(path, member, |stream| stream.take(most).read_to_end(&mut bytes).map(drop))?;
        bytes.shrink_to_fit(); // it goes on as it is, and has grown by doubling
    }
    Ok(bytes)
}

fn decompressed<T>(
    name: &str,
    stream: impl Read,
    read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
) -> io::Result<T> {
    match told(name).1 {
        Compression::None => read(&mut BufReader::with_capacity(1 << 16, stream)),
        Compression::Gzip => read(&mut MultiGzDecoder::new(BufReader::new(stream))),
        Compression::Zstd => read(&mut zstd::stream::read::Decoder::new(stream)?),
    }
}
