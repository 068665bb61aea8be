//! What a test compares with: a library, a server of it, and what an unbroken run over it comes to.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use loopback::Server;
use tempfile::TempDir;

use crate::{
    library::Library,
    running::{Ended, Job, Outcome},
};

const WORKS: u64 = 48;

/// What a test compares with.
pub struct Stage {
    /// Everything of the test lies here.
    pub folder: TempDir,
    /// The library.
    pub library: Library,
    /// It answers each request after a while.
    pub server: Server,
    /// What the unbroken run came to.
    pub unbroken: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Stage {
    /// A library drawn by this seed, run over once.
    pub fn set(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::write(&folder.path().join("library"), WORKS, seed);
        let server = library.serve(seed, Duration::from_millis(20));
        let job = Job::new(&folder.path().join("unbroken"), &server.url(""), 2);
        let ended = job.run();
        let unbroken = job.outcome();
        assert_eq!(ended.json()["weights_digest"], unbroken.digest.as_str());
        assert_eq!(unbroken.documents.len() as u64, WORKS);
        Self { folder, library, server, unbroken, took: ended.took }
    }

    /// A job of its own over the library.
    pub fn job(&self, name: &str) -> Job {
        Job::new(&self.folder.path().join(name), &self.server.url(""), 2)
    }

    /// Runs the job to its end, and compares.
    pub fn expect_unbroken(&self, job: &Job, of: &str) -> Ended {
        let ended = job.run();
        let outcome = job.outcome();
        outcome.expect_same(&self.unbroken, of);
        assert_eq!(ended.json()["weights_digest"], outcome.digest.as_str(), "{of}");
        let chunks = job.measured_chunks();
        assert!(chunks.iter().copied().eq(0..chunks.len() as u64), "{of}: {chunks:?}");
        let strays = job.in_checkpoints();
        assert!(strays.iter().all(|path| !is_aside(path)), "{of}: {strays:?}");
        assert!(job.checkpoints().len() <= 3, "{of}: more are kept than was asked for");
        ended
    }
}

/// Whether a folder is one of a checkpoint that is being written or removed.
pub fn is_aside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"writing-"))
}

/// A run that was killed in the middle, with at least two checkpoints, to be copied and damaged.
pub fn half_a_run(stage: &Stage, name: &str) -> Job {
    let job = stage.job(name);
    let mut running = job.start();
    let mut commits = 0;
    let committed = running.wait_for(|line| {
        commits += u32::from(line.starts_with("committed"));
        commits == 3
    });
    assert!(committed && running.kill(), "killed in the middle");
    assert!(job.checkpoints().len() > 1, "{:?}", job.checkpoints());
    job
}

/// Copies a folder with everything in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room for a copy");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("room for a copy");
        }
    }
}

/// What lies in a folder, by name.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// The last part of a path.
pub fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}
