//! The folder of a run: what is where, and who may write.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::job::Job;

/// Why a run directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another run writes there.
    #[error(
        "run directory \"{}\" is in use by process {holder}; wait for it, end it, or set another \
         `directory`",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds the lock, if it could be told.
        holder: String,
    },
    /// The system refused.
    #[error("could not use run directory \"{}\": {source}; is the disk full, or read-only?", path.display())]
    File {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No run was made there.
    #[error("there is no run in \"{}\"; make one with `seseragi run`, or name its directory", path.display())]
    Empty {
        /// The directory.
        path: PathBuf,
    },
}

/// A run directory that only this process writes to, until it is dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// Creates the directory where it is missing, and locks it. The lock is the system's: it ends
    /// with the process, however that ends.
    ///
    /// # Errors
    /// If another process holds it, or it cannot be written to.
    pub fn lock(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |source| DirectoryError::File { path: path.into(), source };
        fs::create_dir_all(checkpoints(path)).map_err(failed)?;
        Self::lock_folder(path)
    }

    /// The same for a folder without checkpoints, such as that of a search.
    ///
    /// # Errors
    /// As [`Self::lock`].
    pub fn lock_folder(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |source| DirectoryError::File { path: path.into(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let holder = path.join("lock");
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&holder)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&holder).unwrap_or_default();
                let holder = holder.trim().to_owned();
                return Err(DirectoryError::InUse { path: path.into(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// Notes the job that the run was last started with.
    ///
    /// # Errors
    /// If the disk is full, say; then the note is as it was before.
    pub fn note(&self, job: &Job) -> io::Result<()> {
        let mut noted = job.clone();
        if job.processes() > 1 {
            // For whoever reads it alone: as many workers as there were in all.
            noted.max_workers = job.workers_in_all();
        }
        let text = toml::to_string(&noted).expect("a job is plain data");
        let aside = self.path.join("job.toml.writing");
        fs::write(&aside, text)?;
        fs::rename(&aside, self::job(&self.path))
    }
}

/// The job that a run was last started with, as far as a reader of the run needs it: the defaults, if
/// its file was lost.
pub fn noted(run: &Path) -> Job {
    let text = fs::read_to_string(job(run)).ok();
    text.and_then(|text| toml::from_str(&text).ok()).unwrap_or_default()
}

/// Whether a process has a run's directory locked.
pub fn is_in_use(run: &Path) -> bool {
    let lock = File::open(run.join("lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Where a run's checkpoints are.
pub fn checkpoints(run: &Path) -> PathBuf {
    run.join("checkpoints")
}

/// Where a run's measurements are.
pub fn metrics(run: &Path) -> PathBuf {
    run.join("metrics.jsonl")
}

/// Where epochs are written down that cannot be drawn again.
pub fn drawn(run: &Path) -> PathBuf {
    run.join("drawn.jsonl")
}

/// Where a run's rejects are listed.
pub fn rejects(run: &Path) -> PathBuf {
    run.join("rejects.jsonl")
}

/// The job that a run was last started with.
pub fn job(run: &Path) -> PathBuf {
    run.join("job.toml")
}

/// Where a run's pictures are.
pub fn plots(run: &Path) -> PathBuf {
    run.join("plots")
}

/// Where the search for a run's settings is.
pub fn search(run: &Path) -> PathBuf {
    run.join("tune")
}

/// Where fetched pages are kept, unless the job names another folder.
pub fn pages(run: &Path) -> PathBuf {
    run.join("pages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_writer_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = RunDirectory::lock(folder.path()).expect("nobody holds it");
        let refusal = RunDirectory::lock(folder.path()).expect_err("it is held").to_string();
        assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
        assert!(is_in_use(folder.path()));
        drop(first);
        assert!(!is_in_use(folder.path()));
        RunDirectory::lock(folder.path()).expect("nobody holds it any more");
    }
}
