//! `control.json`: where a run's control server is, and the token that it wants. Only its owner can
//! read it. A run that was killed leaves it behind; then nobody answers there.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rand::RngExt;
use serde::{Deserialize, Serialize};

/// Where the server is, and the token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Of the loopback interface.
    pub address: SocketAddr,
    /// 32 random bytes, in hexadecimal.
    pub token: String,
    /// The process that serves.
    pub process: u32,
}

impl Notice {
    /// A notice with a new token.
    pub fn new(address: SocketAddr) -> Self {
        let bytes: [u8; 32] = rand::rng().random();
        let token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { address, token, process: std::process::id() }
    }

    /// Writes the notice, whole or not at all.
    ///
    /// # Errors
    /// If the disk is full, say.
    pub fn write(&self, run: &Path) -> io::Result<()> {
        let aside = run.join("control.json.writing");
        let _of_a_run_that_was_killed = fs::remove_file(&aside);
        // Never readable to others, not for an instant.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        writeln!(file, "{}", serde_json::to_string(self)?)?;
        fs::rename(&aside, path(run))
    }

    /// The notice of a run, if there is one.
    pub fn read(run: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(run)).ok()?).ok()
    }

    /// Removes this notice; one that another server has written stays.
    pub fn remove(&self, run: &Path) {
        if Self::read(run).as_ref() == Some(self) {
            let _best_effort = fs::remove_file(path(run));
        }
    }
}

/// Where a run's notice is.
pub fn path(run: &Path) -> PathBuf {
    run.join("control.json")
}
