//! Copies of what cannot be read in any order as it is.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::UNIX_EPOCH,
};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::ContainerError;

/// A folder of copies, each named by what it was made from. Clones share the folder.
#[derive(Clone, Debug)]
pub struct Unpacked {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: Option<PathBuf>,
    // Where copies go when nobody says where: made when it is needed, gone with this.
    temporary: OnceLock<TempDir>,
    // Held while a copy is made, so that it is made once.
    making: Mutex<()>,
}

impl Unpacked {
    /// Copies in this folder, made when it is needed; without one, in a folder for the time being.
    pub fn new(folder: Option<PathBuf>) -> Self {
        let inner = Inner { folder, temporary: OnceLock::new(), making: Mutex::new(()) };
        Self { inner: Arc::new(inner) }
    }

    /// The copy that `write` makes of a part of the file at `path`, if it is not there. `part` tells
    /// this copy from others of the same file; another version of the file has another copy.
    pub(super) fn copy(
        &self,
        path: &Path,
        part: &[&str],
        write: impl FnOnce(&mut dyn Write) -> Result<(), ContainerError>,
    ) -> Result<PathBuf, ContainerError> {
        let folder = self.folder()?;
        let place = folder.join(name(path, part)?);
        let _making = self.inner.making.lock().unwrap_or_else(PoisonError::into_inner);
        if !place.is_file() {
            let mut aside = io::BufWriter::new(NamedTempFile::new_in(&folder)?);
            write(&mut aside)?;
            let aside = aside.into_inner().map_err(io::IntoInnerError::into_error)?;
            aside.persist(&place).map_err(|error| error.error)?;
        }
        Ok(place)
    }

    fn folder(&self) -> io::Result<PathBuf> {
        if let Some(folder) = &self.inner.folder {
            fs::create_dir_all(folder)?;
            return Ok(folder.clone());
        }
        if let Some(folder) = self.inner.temporary.get() {
            return Ok(folder.path().to_owned());
        }
        let made = tempfile::tempdir()?;
        Ok(self.inner.temporary.get_or_init(|| made).path().to_owned())
    }
}

fn name(path: &Path, part: &[&str]) -> io::Result<String> {
    let about = File::open(path)?.metadata()?;
    let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut hasher = Sha256::new();
    hasher.update(path.as_os_str().as_encoded_bytes());
    hasher.update(format!("\0{}\0{}", about.len(), changed.as_nanos()));
    for part in part {
        hasher.update(b"\0");
        hasher.update(part);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
