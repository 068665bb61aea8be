//! From a dictionary's sources to its compiled form, once, whoever asks first.
//!
//! The files are written aside and renamed into place under a lock that other processes wait for,
//! with a list of their SHA-256 sums; so a folder called `compiled` is either whole or has been
//! damaged since, which [`compiled`] finds out before anything reads it.

mod characters;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use lindera::dictionary::{DictionaryBuilder, Metadata};
use sha2::{Digest, Sha256};

use super::dictionary::DictionaryError;

/// IPADIC's columns, and details as they are: the normalization that lindera would apply moves
/// surfaces apart from what MeCab sees.
const METADATA: &str = include_str!("../../resources/ipadic.json");

/// The list of sums beside the files, as `sha256sum --check` reads it.
const SUMS: &str = "SHA256SUMS";

/// The list's first line. Count it up when the same sources would be cut into other words: a
/// dictionary compiled before is then refused, not mixed with texts cut by the new one.
const RECIPE: &str = "# compiled by recipe 1\n";

/// The folder of the compiled dictionary in `home`, compiled now if need be and found whole.
pub(super) fn compiled(home: &Path) -> Result<PathBuf, DictionaryError> {
    let folder = home.join("compiled");
    if !folder.is_dir() {
        compile(home, &folder)?;
    }
    check(&folder)?;
    Ok(folder)
}

/// What tells this dictionary from another: a hash of its sums.
pub(super) fn identity(folder: &Path) -> Result<String, DictionaryError> {
    let path = folder.join(SUMS);
    let sums = fs::read(&path).map_err(failed("read", &path))?;
    Ok(Sha256::digest(sums).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn compile(home: &Path, folder: &Path) -> Result<(), DictionaryError> {
    let sources = home.join("source");
    if !sources.join("matrix.def").is_file() {
        return Err(DictionaryError::Missing { home: home.to_owned() });
    }
    // Locked until this function ends; a process that dies lets go of it too.
    let lock_path = home.join("compiling.lock");
    let lock = File::create(&lock_path).map_err(failed("create", &lock_path))?;
    lock.lock().map_err(failed("lock", &lock_path))?;
    if folder.is_dir() {
        return Ok(());
    }
    let aside = home.join("compiled.aside");
    if aside.exists() {
        // Left behind by a process that was killed: whoever is alive would hold the lock.
        fs::remove_dir_all(&aside).map_err(failed("delete", &aside))?;
    }
    let rewritten = aside.join("source");
    stage(&sources, &rewritten)?;
    let metadata: Metadata = serde_json::from_str(METADATA).expect("our own file is valid");
    DictionaryBuilder::new(metadata)
        .build_dictionary(&rewritten, &aside)
        .map_err(|source| DictionaryError::Compile { sources, source })?;
    fs::remove_dir_all(&rewritten).map_err(failed("delete", &rewritten))?;
    let list = sums(&aside)?.into_iter().map(|(name, sum)| format!("{sum}  {name}\n"));
    let list_path = aside.join(SUMS);
    let list: String = std::iter::once(RECIPE.to_owned()).chain(list).collect();
    fs::write(&list_path, list).map_err(failed("write", &list_path))?;
    fs::rename(&aside, folder).map_err(failed("rename", &aside))
}

/// Copies the sources, `char.def` rewritten to mean to lindera what it means to MeCab.
fn stage(sources: &Path, folder: &Path) -> Result<(), DictionaryError> {
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    for entry in fs::read_dir(sources).map_err(failed("list", sources))? {
        let path = entry.map_err(failed("list", sources))?.path();
        let copy = folder.join(path.file_name().expect("listed in a folder"));
        if path.ends_with("char.def") {
            let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
            let text = characters::without_overlaps(&text);
            fs::write(&copy, text).map_err(failed("write", &copy))?;
        } else if path.extension().is_some_and(|kind| kind == "csv" || kind == "def") {
            fs::copy(&path, &copy).map_err(failed("copy", &path))?;
        }
    }
    Ok(())
}

/// Compares every file with the sum written for it.
fn check(folder: &Path) -> Result<(), DictionaryError> {
    let damaged = |what| Err(DictionaryError::Damaged { folder: folder.to_owned(), what });
    let Ok(list) = fs::read_to_string(folder.join(SUMS)) else {
        return damaged(format!("{SUMS} cannot be read"));
    };
    let Some(list) = list.strip_prefix(RECIPE) else {
        return damaged("compiled by another version of this program".to_owned());
    };
    let found = sums(folder)?;
    for line in list.lines() {
        let Some((sum, name)) = line.split_once("  ") else {
            return damaged(format!("{SUMS} has the line {line:?}"));
        };
        match found.get(name) {
            None => return damaged(format!("{name} is missing")),
            Some(found) if found != sum => return damaged(format!("{name} is not as written")),
            Some(_) => {}
        }
    }
    if list.lines().count() != found.len() {
        return damaged(format!("{SUMS} does not list every file"));
    }
    Ok(())
}

/// The SHA-256 of every file in a folder but the list itself, by name.
fn sums(folder: &Path) -> Result<BTreeMap<String, String>, DictionaryError> {
    let mut sums = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
        let path = entry.map_err(failed("list", folder))?.path();
        let name = path.file_name().expect("listed in a folder").to_string_lossy().into_owned();
        if name == SUMS {
            continue;
        }
        let bytes = fs::read(&path).map_err(failed("read", &path))?;
        let sum = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        sums.insert(name, sum);
    }
    Ok(sums)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DictionaryError {
    let path = path.to_owned();
    move |source| DictionaryError::File { action, path, source }
}

#[cfg(test)]
mod tests;
