//! The manifest of a checkpoint, and the choice of the one to resume from.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use operators::Epoch;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CheckpointError, Counts, MANIFEST, MANIFEST_SUM, failed};
use crate::{learner::pupil::Record, ledger::Account};

/// The layout of checkpoints that this version writes and reads.
pub const FORMAT: u32 = 2;

/// What a checkpoint is and what belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The layout; see [`FORMAT`].
    pub format: u32,
    /// The version of seseragi that wrote it.
    pub version: String,
    /// The last epoch that is in it.
    pub epoch: Epoch,
    /// SHA-256 over the weights of all models, as [`run_digest`] defines it.
    pub weights_digest: String,
    /// What became of the entries.
    pub account: Account,
    /// Where the counters stood.
    pub counts: Counts,
    /// The models, in the order of the job.
    pub models: Vec<ModelState>,
    /// Every other file of the folder.
    pub files: BTreeMap<String, FileSum>,
}

/// What is known of a model beside its tensors, which lie in its own folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelState {
    /// Its name.
    pub name: String,
    /// SHA-256 over its weights, as `docs/checkpoints.md` defines it; empty if it was set aside.
    pub weights_digest: String,
    /// The trainer's own plain state; none if the model was set aside, and then it has no files.
    pub trainer: Option<model::TrainerState>,
    /// What the learner notes of it.
    pub record: Record,
}

/// The weights' fingerprint of a run: that of its only model; of several, SHA-256 over them,
/// ascending by name, each as: length of the name (`u32`), the name, length of the model's digest
/// (`u32`), that digest in hexadecimal (empty if the model was set aside); numbers little-endian.
pub fn run_digest(models: &[ModelState]) -> String {
    if let [model] = models {
        return model.weights_digest.clone();
    }
    let mut models: Vec<_> = models.iter().map(|m| [&m.name, &m.weights_digest]).collect();
    models.sort();
    let mut hash = Sha256::new();
    for text in models.into_iter().flatten() {
        hash.update((text.len() as u32).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hexadecimal(&hash.finalize())
}

/// What a file must be like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// What a folder turned out to be.
#[derive(Debug)]
pub enum Found {
    /// A whole checkpoint.
    Valid(Box<Manifest>),
    /// Something is wrong with it.
    Damaged(String),
    /// It has another format: another version wrote it.
    Foreign(u32),
}

/// Which checkpoint to resume from.
#[derive(Debug, Default)]
pub struct Choice {
    /// The newest valid one.
    pub valid: Option<(PathBuf, Manifest)>,
    /// Newer ones that are damaged, each with the reason.
    pub passed_over: Vec<(PathBuf, String)>,
}

/// Chooses among the folders of `home`, the newest first: the first valid one. A damaged one is
/// passed over; one of another format is an error, because resuming before it would throw away what
/// it holds. So is damage to them all, because starting over would do the same.
///
/// # Errors
/// If a folder that was looked at is of another format, or if there are folders and none is valid.
pub fn choose(home: &Path, found: Vec<(PathBuf, Found)>) -> Result<Choice, CheckpointError> {
    let mut choice = Choice::default();
    for (path, found) in found {
        match found {
            Found::Valid(manifest) => {
                choice.valid = Some((path, *manifest));
                break;
            }
            Found::Damaged(reason) => choice.passed_over.push((path, reason)),
            Found::Foreign(found) => return Err(CheckpointError::Foreign { path, found }),
        }
    }
    match choice {
        Choice { valid: None, passed_over: damaged } if !damaged.is_empty() => {
            Err(CheckpointError::NoneWhole { home: home.into(), damaged })
        }
        choice => Ok(choice),
    }
}

impl Manifest {
    /// Writes the manifest and its sum into `folder`; they are not synced yet.
    pub(super) fn write(&self, folder: &Path) -> Result<(), CheckpointError> {
        let text = serde_json::to_vec_pretty(self).expect("a manifest is plain data");
        let sum = sum_line(&text).into_bytes();
        for (name, bytes) in [(MANIFEST, text), (MANIFEST_SUM, sum)] {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(failed("write", &path))?;
        }
        Ok(())
    }
}

/// What stands beside a manifest, so that `sha256sum --check` can tell as well.
fn sum_line(manifest: &[u8]) -> String {
    format!("{}  {MANIFEST}\n", hexadecimal(&Sha256::digest(manifest)))
}

/// Looks at a checkpoint's folder: every file must be there, with its length and its sum.
pub(super) fn examine(folder: &Path, epoch: Epoch) -> Found {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let text = match fs::read(folder.join(MANIFEST)) {
        Ok(text) => text,
        Err(error) => return Found::Damaged(format!("{MANIFEST} cannot be read: {error}")),
    };
    // The format alone first: another version may have changed everything else, the sum too.
    let format = serde_json::from_slice::<Format>(&text).map(|Format { format }| format);
    match (fs::read_to_string(folder.join(MANIFEST_SUM)), format) {
        (Ok(expected), _) if expected != sum_line(&text) => {
            let reason = format!("{MANIFEST} has other contents than {MANIFEST_SUM} says");
            return Found::Damaged(reason);
        }
        (_, Ok(format)) if format != FORMAT => return Found::Foreign(format),
        (Err(error), _) => {
            return Found::Damaged(format!("{MANIFEST_SUM} cannot be read: {error}"));
        }
        (Ok(_), _) => {}
    }
    let manifest: Manifest = match serde_json::from_slice(&text) {
        Ok(manifest) => manifest,
        Err(error) => return Found::Damaged(format!("{MANIFEST} is no manifest: {error}")),
    };
    if manifest.epoch != epoch {
        return Found::Damaged(format!("{MANIFEST} is that of epoch {}", manifest.epoch));
    }
    for (name, expected) in &manifest.files {
        match sum(&folder.join(name)) {
            Ok(found) if found == *expected => {}
            Ok(found) if found.bytes != expected.bytes => {
                let (has, had) = (found.bytes, expected.bytes);
                return Found::Damaged(format!("{name} has {has} bytes instead of {had}"));
            }
            Ok(_) => return Found::Damaged(format!("{name} has other contents than were written")),
            Err(error) => return Found::Damaged(format!("{name} cannot be read: {error}")),
        }
    }
    Found::Valid(Box::new(manifest))
}

/// The sums of every file in the folder, those of the folders within under `FOLDER/FILE`.
pub(super) fn sums(folder: &Path) -> Result<BTreeMap<String, FileSum>, CheckpointError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let path = entry.map_err(failed("read", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("we gave the names");
        if path.is_dir() {
            let within = sums(&path)?.into_iter();
            found.extend(within.map(|(inner, sum)| (format!("{name}/{inner}"), sum)));
        } else {
            found.insert(name.to_owned(), sum(&path).map_err(failed("read", &path))?);
        }
    }
    Ok(found)
}

fn sum(path: &Path) -> io::Result<FileSum> {
    let mut digest = Sha256::new();
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut bytes = 0;
    loop {
        let part = file.fill_buf()?;
        if part.is_empty() {
            break;
        }
        digest.update(part);
        let length = part.len();
        bytes += length as u64;
        file.consume(length);
    }
    Ok(FileSum { bytes, sha256: hexadecimal(&digest.finalize()) })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{checkpoint, job::Job};

    fn manifest(epoch: Epoch) -> Manifest {
        let job = Job::default();
        let trainer = model::TrainerState {
            format: 1,
            settings: job.settings(&job.model[0], &job.train, job.shape(&job.model[0], 8)),
            seed: 1,
            rows: 257,
            progress: Default::default(),
        };
        let record = Record { prequential_nats: 0.1, ..Record::default() };
        Manifest {
            format: FORMAT,
            version: "0".into(),
            epoch,
            weights_digest: "ab".into(),
            account: Account::default(),
            counts: Counts { next_sequence: 7, ..Counts::default() },
            models: vec![ModelState {
                name: "model".into(),
                weights_digest: "ab".into(),
                trainer: Some(trainer),
                record,
            }],
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn the_digest_of_a_run_is_its_only_model_s_or_one_that_no_order_changes() {
        let one = manifest(0).models.remove(0);
        let other = ModelState { name: "other".into(), ..one.clone() };
        assert_eq!(run_digest(std::slice::from_ref(&one)), "ab");
        let both = run_digest(&[one.clone(), other.clone()]);
        assert_eq!(both, run_digest(&[other.clone(), one.clone()]));
        let swapped = ModelState { weights_digest: "cd".into(), ..other };
        assert_ne!(both, run_digest(&[one, swapped]));
    }

    /// A folder as [`checkpoint::write`] leaves one, of files with any contents.
    fn folder(home: &Path, epoch: Epoch, files: &[Vec<u8>]) -> PathBuf {
        let folder = checkpoint::folder(home, epoch);
        fs::create_dir_all(&folder).expect("room for a folder");
        for (number, bytes) in files.iter().enumerate() {
            // Every second one within a folder, as models are.
            let within = folder.join(if number % 2 == 0 { "." } else { "models" });
            fs::create_dir_all(&within).expect("room for a folder");
            fs::write(within.join(format!("{number}.arrow")), bytes).expect("room for a file");
        }
        let files = sums(&folder).expect("readable");
        Manifest { files, ..manifest(epoch) }.write(&folder).expect("room for a manifest");
        folder
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whichever_bit_of_whichever_file_flips_is_found_out(
            files in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4),
            file in any::<prop::sample::Index>(),
            byte in any::<prop::sample::Index>(),
            bit in 0..8u8,
            cut in any::<bool>(),
        ) {
            let home = tempfile::tempdir().expect("a folder");
            let folder = folder(home.path(), 3, &files);
            match examine(&folder, 3) {
                Found::Valid(found) => {
                    prop_assert_eq!(&*found, &Manifest { files: found.files.clone(), ..manifest(3) });
                }
                found => prop_assert!(false, "{:?}", found),
            }

            let mut paths: Vec<_> =
                sums(&folder).expect("readable").into_keys().map(|name| folder.join(name)).collect();
            paths.sort();
            let path = file.get(&paths);
            let mut bytes = fs::read(path).expect("readable");
            if bytes.is_empty() {
                bytes.push(0);
            } else if cut {
                bytes.truncate(byte.index(bytes.len()));
            } else {
                let at = byte.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            fs::write(path, bytes).expect("room");
            let found = examine(&folder, 3);
            prop_assert!(matches!(found, Found::Damaged(_)), "{}: {found:?}", path.display());
        }

        #[test]
        fn the_newest_valid_one_is_chosen_and_nothing_is_thrown_away(
            kinds in prop::collection::vec(0..3u8, 0..6),
        ) {
            let home = Path::new("home");
            let path = |place: usize| checkpoint::folder(home, 9 - place as Epoch);
            let found = kinds.iter().enumerate().map(|(place, kind)| {
                let found = match kind {
                    0 => Found::Valid(Box::new(manifest(9 - place as Epoch))),
                    1 => Found::Damaged(format!("reason {place}")),
                    _ => Found::Foreign(99),
                };
                (path(place), found)
            });
            let chosen = choose(home, found.collect());
            // What decides is the first that is not damaged.
            match kinds.iter().position(|kind| *kind != 1) {
                None if kinds.is_empty() => {
                    let choice = chosen.expect("nothing to resume is no trouble");
                    prop_assert!(choice.valid.is_none() && choice.passed_over.is_empty());
                }
                None => {
                    let message = chosen.expect_err("all are damaged").to_string();
                    for place in 0..kinds.len() {
                        prop_assert!(message.contains(&format!("reason {place}")), "{}", message);
                    }
                }
                Some(place) if kinds[place] == 0 => {
                    let choice = chosen.expect("one is valid");
                    prop_assert_eq!(choice.valid.map(|(path, _)| path), Some(path(place)));
                    let passed_over = choice.passed_over.into_iter().map(|(path, _)| path);
                    prop_assert!(passed_over.eq((0..place).map(path)));
                }
                Some(place) => {
                    let message = chosen.expect_err("one is foreign").to_string();
                    let name = path(place).display().to_string();
                    prop_assert!(message.contains(&name) && message.contains("99"), "{}", message);
                }
            }
        }
    }

    #[test]
    fn a_folder_under_another_epoch_s_name_is_damaged() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = folder(home.path(), 3, &[]);
        assert!(matches!(examine(&folder, 4), Found::Damaged(_)));
    }
}
