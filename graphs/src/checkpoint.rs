//! What is durable at a commit: all of a run, or nothing.
//!
//! A checkpoint is a folder named by its epoch. It is written aside, every file synced, the folder
//! synced, and then renamed; its manifest names each file with its length and SHA-256. So a folder
//! with a name is whole, and one that was damaged later is found out: the newest *valid* one is
//! used, never the newest by date. Damaged ones newer than that are given another name, so that
//! they neither stand in the way of those to come nor are counted among those to keep.

mod manifest;
mod state;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use operators::Epoch;

pub use manifest::{Choice, FORMAT, FileSum, Found, Manifest, ModelState, choose, run_digest};
pub use state::{Counts, State};

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("could not {doing} \"{}\": {source}; the newest checkpoint before it stays", path.display())]
    File {
        /// `write`, `read`, `rename` or `remove`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A checkpoint is not what was written.
    #[error("checkpoint \"{}\" is damaged: {reason}", path.display())]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There are checkpoints, and every one is damaged. To start over instead would throw away what
    /// can perhaps be restored.
    #[error(
        "could not resume from \"{}\": no checkpoint is whole ({}); restore one from a backup, or \
         move the run directory away to start over",
        home.display(),
        listed(damaged)
    )]
    NoneWhole {
        /// The folder of checkpoints.
        home: PathBuf,
        /// Each of them, with what is wrong with it.
        damaged: Vec<(PathBuf, String)>,
    },
    /// A checkpoint of another version of seseragi.
    #[error(
        "checkpoint \"{}\" has format {found}, this seseragi reads format {FORMAT}; use the \
         seseragi that wrote it, or {}",
        path.display(),
        if *found < FORMAT { "begin a new run in another directory" } else { "a newer one" }
    )]
    Foreign {
        /// The checkpoint.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The model's files could not be written or read.
    #[error(transparent)]
    Model(#[from] model::Error),
}

/// Where a checkpoint is being written until it has a name.
const ASIDE: &str = "writing-";
/// What a damaged checkpoint is called once the run goes on without it.
const DAMAGED: &str = "damaged-";
const MANIFEST: &str = "manifest.json";
/// The manifest's own sum, as `sha256sum --check` reads it.
const MANIFEST_SUM: &str = "manifest.json.sha256";

/// The folder of the checkpoint of `epoch`, within `home`.
pub fn folder(home: &Path, epoch: Epoch) -> PathBuf {
    home.join(format!("{epoch:012}"))
}

/// Where the models are, each in a folder by its name.
const MODELS: &str = "models";

/// The folder of a model within a checkpoint.
pub fn model_folder(checkpoint: &Path, name: &str) -> PathBuf {
    checkpoint.join(MODELS).join(name)
}

/// Writes a checkpoint into `home` and removes all but the `keep` newest. `manifest` comes without
/// its files, which are listed here.
///
/// # Errors
/// If the disk is full or anything else cannot be written: then `home` is as it was before.
pub fn write(
    home: &Path,
    mut manifest: Manifest,
    state: &State,
    models: &[(String, model::Frozen)],
    keep: usize,
) -> Result<PathBuf, CheckpointError> {
    let named = folder(home, manifest.epoch);
    let aside = home.join(format!("{ASIDE}{:012}", manifest.epoch));
    let written = (|| {
        remove(&aside)?;
        fs::create_dir_all(&aside).map_err(failed("write", &aside))?;
        for (name, model) in models {
            model.write(&model_folder(&aside, name))?;
        }
        state.write(&aside)?;
        manifest.files = manifest::sums(&aside)?;
        manifest.write(&aside)?;
        for (name, _) in models {
            sync(&model_folder(&aside, name))?;
        }
        for name in manifest.files.keys().map(String::as_str).chain([MANIFEST, MANIFEST_SUM]) {
            sync(&aside.join(name))?;
        }
        if !models.is_empty() {
            sync(&aside.join(MODELS))?;
        }
        sync(&aside)?;
        fs::rename(&aside, &named).map_err(failed("write", &named))?;
        sync(home)
    })();
    if written.is_err() {
        // A full disk must be left with as much room as it had.
        let _best_effort = fs::remove_dir_all(&aside);
    }
    written?;
    prune(home, keep)?;
    Ok(named)
}

/// The newest valid checkpoint in `home`, and those that had to be passed over, with the reason.
///
/// # Errors
/// If one was written by another version, if there are some and none is whole, or if `home` cannot
/// be read.
pub fn newest(home: &Path) -> Result<Choice, CheckpointError> {
    let mut found = Vec::new();
    // The newest first, and no further than needed: checking reads every byte.
    for epoch in epochs(home)?.into_iter().rev() {
        let path = folder(home, epoch);
        found.push((path.clone(), manifest::examine(&path, epoch)));
        if matches!(found.last(), Some((_, Found::Valid(_)))) {
            break;
        }
    }
    choose(home, found)
}

/// Makes room for what is to come: damaged checkpoints that were passed over get another name, the
/// new one of which is given back, and what an earlier run left half written or half removed is
/// removed. Only for the one process that writes to `home`.
///
/// # Errors
/// If something cannot be renamed or removed.
pub fn tidy(
    home: &Path,
    passed_over: Vec<(PathBuf, String)>,
) -> Result<Vec<(PathBuf, String)>, CheckpointError> {
    for entry in fs::read_dir(home).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(ASIDE)) {
            remove(&entry.path())?;
        }
    }
    let set_aside = |(path, reason): (PathBuf, String)| {
        let name = path.file_name().and_then(|name| name.to_str()).expect("we gave the names");
        let renamed = home.join(format!("{DAMAGED}{name}"));
        remove(&renamed)?;
        fs::rename(&path, &renamed).map_err(failed("rename", &path))?;
        Ok((renamed, reason))
    };
    passed_over.into_iter().map(set_aside).collect()
}

/// The epochs that `home` has checkpoints of, ascending; whether they are valid is not looked at.
///
/// # Errors
/// If `home` cannot be read.
pub fn epochs(home: &Path) -> Result<Vec<Epoch>, CheckpointError> {
    let entries = match fs::read_dir(home) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("read", home))?,
    };
    let mut epochs: Vec<Epoch> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    epochs.sort_unstable();
    Ok(epochs)
}

fn prune(home: &Path, keep: usize) -> Result<(), CheckpointError> {
    let epochs = epochs(home)?;
    for epoch in &epochs[..epochs.len().saturating_sub(keep)] {
        // Renamed first: a folder with a name is whole, even if we are killed in the middle.
        let doomed = home.join(format!("{ASIDE}{epoch:012}"));
        remove(&doomed)?;
        let path = folder(home, *epoch);
        fs::rename(&path, &doomed).map_err(failed("remove", &path))?;
        remove(&doomed)?;
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<(), CheckpointError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", folder)(error))
        }
        _ => Ok(()),
    }
}

fn sync(path: &Path) -> Result<(), CheckpointError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("write", path))
}

fn listed(damaged: &[(PathBuf, String)]) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().display().to_string();
    let lines = damaged.iter().map(|(path, reason)| format!("{}: {reason}", name(path)));
    lines.collect::<Vec<_>>().join("; ")
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::File { doing, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_over_makes_room_and_what_was_left_half_done_goes() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path();
        for name in ["000000000001", "000000000002", "writing-000000000000", "damaged-000000000002"]
        {
            fs::create_dir(home.join(name)).expect("room for a folder");
        }
        let passed_over = vec![(folder(home, 2), "a bit".to_owned())];
        let renamed = tidy(home, passed_over).expect("nothing is in the way");
        assert_eq!(renamed, [(home.join("damaged-000000000002"), "a bit".to_owned())]);
        assert_eq!(epochs(home).expect("readable"), [1]);
        assert!(!home.join("writing-000000000000").exists());
    }

    #[test]
    fn pruning_keeps_the_newest() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path();
        for epoch in [1, 2, 5, 11] {
            fs::create_dir(folder(home, epoch)).expect("room for a folder");
        }
        prune(home, 2).expect("nothing is in the way");
        assert_eq!(epochs(home).expect("readable"), [5, 11]);
        assert_eq!(
            fs::read_dir(home).expect("a folder").count(),
            2,
            "nothing is left half removed"
        );
    }
}
