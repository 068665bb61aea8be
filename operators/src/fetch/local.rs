//! Pages on this machine's disk: files, and documents within files.

use std::path::Path;

use url::Url;

use super::{
    client::{Client, Fetched},
    trouble::Refusal,
};
use crate::container::{self, Address, Unpacked};

/// Reads the file that a `file:` address names, or what its fragment says within it. It declares no
/// media type. Blocks.
pub fn read(url: &Url, limit: u64, unpacked: &Unpacked) -> Result<Fetched, Refusal> {
    let unreadable = |path: &Path, cause: String| Refusal::Unreadable { path: path.into(), cause };
    let path = url.to_file_path().map_err(|()| {
        unreadable(Path::new(url.path()), "the address names another machine".to_owned())
    })?;
    let failed = |error: String| unreadable(&path, error);
    let address = Address::parse(url.fragment()).map_err(|error| failed(error.to_string()))?;
    let read = container::read(&path, &address, limit, unpacked);
    let container::Content { body, charset } = read.map_err(|error| failed(error.to_string()))?;
    if body.len() as u64 > limit {
        return Err(Refusal::TooLarge(limit));
    }
    Ok(Fetched {
        address: url.clone(),
        // Left to the worker that takes the page: the threads that read files must not compete with workers.
        digest: None,
        body,
        media: String::new(),
        charset: charset.map(str::to_owned),
        from_cache: false,
    })
}

impl Client {
    /// Where files are unpacked that cannot be read in any order as they are.
    pub fn unpacked(&self) -> &Unpacked {
        &self.inner.unpacked
    }

    /// Bytes that a page may have.
    pub fn body_limit(&self) -> u64 {
        self.inner.policy.body_limit
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit_and_its_absence_is_a_refusal() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("川.html");
        fs::write(&path, "river").expect("room");
        let url = Url::from_file_path(&path).expect("an absolute path");
        let unpacked = Unpacked::new(None);
        let read = |url: &Url, limit| read(url, limit, &unpacked);
        let fetched = read(&url, 5).expect("it is five bytes long");
        assert_eq!(fetched.body, "river");
        // By another program's account.
        assert_eq!(fetched.content()[..4], [0x5f, 0x5a, 0x8e, 0xd8]);
        assert_eq!(read(&url, 4), Err(Refusal::TooLarge(4)));
        let gone = url.join("sea.html").expect("an address");
        let message = read(&gone, 5).expect_err("there is none").to_string();
        assert!(message.starts_with("could not read `/"), "{message}");
        let folder = Url::from_directory_path(folder.path()).expect("an absolute path");
        assert!(read(&folder, 5).is_err());
        let elsewhere = Url::parse("file://example.org/river").expect("an address");
        assert!(read(&elsewhere, 5).is_err());
    }
}
