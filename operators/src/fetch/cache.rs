//! Pages kept between runs, in a folder.
//!
//! `objects/ab/cdef…` are bodies, named by their SHA-256; `pages/….json`, named by the SHA-256 of
//! the address, say which body an address gave, when, and with which validators. Both are written
//! aside and renamed, the body synced before the record that names it. What does not read as it
//! was written (a damaged body, half a record) counts as not kept. Any number of processes may
//! share the folder. Everything here blocks.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use url::Url;

use super::trouble::Fault;

/// A folder of kept pages.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// What is known of a kept page beside its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The address that was asked for.
    pub url: String,
    /// The address that answered, after redirects.
    pub final_url: String,
    /// SHA-256 of the body, in hexadecimal.
    pub content: String,
    /// The entity tag, as the server wrote it.
    pub etag: Option<String>,
    /// The date of the last change, as the server wrote it.
    pub last_modified: Option<String>,
    /// The media type, or empty.
    pub media: String,
    /// The charset that the server declared.
    pub charset: Option<String>,
    /// When it was fetched, in seconds since 1970.
    pub fetched: u64,
}

impl Cache {
    /// Opens the folder, made if need be, and tries to write to it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        for part in ["objects", "pages"] {
            fs::create_dir_all(folder.join(part))?;
        }
        NamedTempFile::new_in(folder)?.write_all(b"room")?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// What is kept of `url`, if anything.
    pub fn find(&self, url: &Url) -> Result<Option<Kept>, Fault> {
        let record = read(&self.record_of(url))?;
        let kept = record.and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        Ok(kept.filter(|kept| kept.url == url.as_str()))
    }

    /// The body of a kept page; `None` if it is gone or damaged.
    pub fn body(&self, kept: &Kept) -> Result<Option<([u8; 32], Bytes)>, Fault> {
        let Some(path) = self.object_of(&kept.content) else { return Ok(None) };
        let body = read(&path)?.map(|body| (digest(&body), Bytes::from(body)));
        Ok(body.filter(|(content, _)| hexadecimal(content) == kept.content))
    }

    /// Keeps a page, in place of what was kept of its address.
    pub fn keep(&self, kept: &Kept, body: &[u8]) -> Result<(), Fault> {
        let object = self.object_of(&kept.content).expect("a content hash in hexadecimal");
        if self.body(kept)?.is_none() {
            write(&object, body, Durable::Yes)?;
        }
        let record = serde_json::to_vec_pretty(kept).expect("strings and a number");
        let url = Url::parse(&kept.url).expect("the address of a page that was fetched");
        // Half a record after a power cut counts as none, so this one need not wait for the disk.
        write(&self.record_of(&url), &record, Durable::No)
    }

    fn record_of(&self, url: &Url) -> PathBuf {
        let name = hexadecimal(&digest(url.as_str().as_bytes()));
        self.folder.join("pages").join(name).with_extension("json")
    }

    // None for what cannot be a content hash: a record is only a file, and may say anything.
    fn object_of(&self, content: &str) -> Option<PathBuf> {
        let right = content.len() == 64 && content.bytes().all(|byte| byte.is_ascii_hexdigit());
        let objects = self.folder.join("objects");
        right.then(|| objects.join(&content[..2]).join(&content[2..]))
    }
}

/// SHA-256.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Bytes in hexadecimal, lower case.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fault("read", path, error)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

fn write(path: &Path, bytes: &[u8], durable: Durable) -> Result<(), Fault> {
    let folder = path.parent().expect("files lie in folders");
    let place = || -> io::Result<File> {
        fs::create_dir_all(folder)?;
        let mut aside = NamedTempFile::new_in(folder)?;
        aside.write_all(bytes)?;
        if durable == Durable::Yes {
            aside.as_file().sync_all()?;
        }
        Ok(aside.persist(path)?)
    };
    place().map(drop).map_err(|error| fault("write", path, error))
}

fn fault(action: &'static str, path: &Path, source: io::Error) -> Fault {
    Fault::Cache { action, path: path.to_owned(), source: Arc::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(url: &Url, body: &[u8]) -> Kept {
        Kept {
            url: url.to_string(),
            final_url: url.to_string(),
            content: hexadecimal(&digest(body)),
            etag: Some("\"1\"".to_owned()),
            last_modified: None,
            media: "text/html".to_owned(),
            charset: None,
            fetched: 1_445_412_480,
        }
    }

    fn url() -> Url {
        Url::parse("https://example.org/cards/1").expect("an address")
    }

    fn objects(folder: &Path) -> Vec<PathBuf> {
        let files = |folder: PathBuf| {
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        };
        files(folder.join("objects")).flat_map(files).collect()
    }

    #[test]
    fn what_is_kept_is_found_under_its_address_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path()).expect("a cache");
        assert_eq!(cache.find(&url()).expect("readable"), None);
        let kept = kept(&url(), b"river");
        cache.keep(&kept, b"river").expect("room");
        // The digest is the one that `printf river | sha256sum` prints.
        assert!(kept.content.starts_with("5f5a8ed8f139be"), "{}", kept.content);
        let again = Cache::open(folder.path()).expect("the same cache");
        assert_eq!(again.find(&url()).expect("readable"), Some(kept.clone()));
        let (_, body) = again.body(&kept).expect("readable").expect("kept");
        assert_eq!(body, "river");
        let other = Url::parse("https://example.org/cards/2").expect("an address");
        assert_eq!(again.find(&other).expect("readable"), None);
    }

    #[test]
    fn a_damaged_body_is_not_served_and_is_mended_by_keeping_it_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path()).expect("a cache");
        let kept = kept(&url(), b"river");
        cache.keep(&kept, b"river").expect("room");
        let [object] = objects(folder.path()).try_into().expect("one object");
        fs::write(&object, "rivet").expect("the object is a file");
        assert_eq!(cache.body(&kept).expect("readable"), None);
        cache.keep(&kept, b"river").expect("room");
        assert!(cache.body(&kept).expect("readable").is_some());
    }

    #[test]
    fn half_a_record_and_a_strange_one_count_as_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path()).expect("a cache");
        let kept = kept(&url(), b"river");
        cache.keep(&kept, b"river").expect("room");
        let record = cache.record_of(&url());
        let text = fs::read(&record).expect("a record");
        fs::write(&record, &text[..text.len() / 2]).expect("the record is a file");
        assert_eq!(cache.find(&url()).expect("readable"), None);
        let strange = Kept { content: "../../../etc/passwd".to_owned(), ..kept };
        assert_eq!(cache.body(&strange).expect("readable"), None);
    }

    #[test]
    fn equal_bodies_are_kept_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path()).expect("a cache");
        for path in ["/a", "/b"] {
            let url = url().join(path).expect("an address");
            cache.keep(&kept(&url, b"river"), b"river").expect("room");
        }
        assert_eq!(objects(folder.path()).len(), 1);
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_a_fault_that_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path()).expect("a cache");
        // A file where a folder must be, which stops even a privileged user.
        fs::remove_dir(folder.path().join("objects")).expect("an empty folder");
        fs::write(folder.path().join("objects"), "").expect("room");
        let fault = cache.keep(&kept(&url(), b"river"), b"river").expect_err("no folder");
        let message = fault.to_string();
        assert!(message.contains("objects/5f"), "{message}");
        assert!(message.contains("`cache_dir`"), "{message}");
    }
}
