//! Lists local files by glob patterns, as a catalogue.
//!
//! Files come out once each, sorted by name. A file is named by its path below the folder that all
//! the patterns share, so names are unique; they stay the same as long as the patterns do.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Component, Path, PathBuf},
    time::UNIX_EPOCH,
};

use glob::{GlobError, Pattern, PatternError};
use thiserror::Error;
use url::Url;

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path below the folder that the patterns share, parted by `/`.
    pub id: String,
    /// When it was last changed, in seconds since 1970, and its length in bytes.
    pub revision: String,
    /// Where it is: `file:`.
    pub url: Url,
}

/// Why files could not be listed.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The pattern cannot be read.
    #[error("could not read the pattern `{pattern}`: {cause}")]
    BadPattern {
        /// As it was written.
        pattern: String,
        /// What is wrong with it.
        cause: PatternError,
    },
    /// No file matches.
    #[error("could not find any file that matches `{0}`; relative patterns start at {1:?}")]
    NoMatch(String, PathBuf),
    /// A folder cannot be listed.
    #[error("could not list a folder: {0}")]
    Folder(#[from] GlobError),
    /// A file cannot be asked about.
    #[error("could not look at {path:?}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: io::Error,
    },
    /// A file's name is not Unicode.
    #[error("could not name {0:?}: its path is not Unicode; rename it")]
    NotUnicode(PathBuf),
}

/// The files that match any of `patterns`; relative patterns start at the working directory.
///
/// # Errors
/// If a pattern or a folder cannot be read, or nothing matches.
pub fn entries(patterns: &[String]) -> Result<Vec<File>, FilesError> {
    entries_from(&here()?, patterns)
}

/// The same where it is no error that nothing matches yet.
///
/// # Errors
/// If a pattern or a folder cannot be read.
pub fn entries_so_far(patterns: &[String]) -> Result<Vec<File>, FilesError> {
    matching(&here()?, patterns)
}

fn here() -> Result<PathBuf, FilesError> {
    std::env::current_dir().map_err(|cause| FilesError::File { path: PathBuf::from("."), cause })
}

fn entries_from(here: &Path, patterns: &[String]) -> Result<Vec<File>, FilesError> {
    let found = matching(here, patterns)?;
    match found.is_empty() {
        true => Err(FilesError::NoMatch(patterns.join(", "), here.to_owned())),
        false => Ok(found),
    }
}

fn matching(here: &Path, patterns: &[String]) -> Result<Vec<File>, FilesError> {
    let mut found = Vec::new();
    for pattern in patterns {
        let bad = |cause| FilesError::BadPattern { pattern: pattern.clone(), cause };
        let absolute = absolute(here, pattern)?;
        for path in glob::glob(&absolute).map_err(bad)? {
            let path = path?;
            if path.is_file() {
                found.push(path);
            }
        }
    }
    let bases = patterns.iter().map(|pattern| here.join(fixed_base(pattern)));
    let base = bases.reduce(|one, other| shared(&one, &other)).unwrap_or_default();
    let mut files = BTreeMap::new();
    for path in found {
        let file = file(&base, &path)?;
        files.insert(file.id.clone(), file);
    }
    Ok(files.into_values().collect())
}

/// The pattern from the root, with what is before it taken literally.
fn absolute(here: &Path, pattern: &str) -> Result<String, FilesError> {
    if Path::new(pattern).is_absolute() {
        return Ok(pattern.to_owned());
    }
    let literal = here.to_str().ok_or_else(|| FilesError::NotUnicode(here.to_owned()))?;
    Ok(format!("{}/{pattern}", Pattern::escape(literal)))
}

/// The folder that everything the pattern matches is in.
pub fn fixed_base(pattern: &str) -> PathBuf {
    let path = Path::new(pattern);
    let parts = path.parent().into_iter().flat_map(Path::components);
    parts
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']))
        .filter(|part| *part != Component::CurDir)
        .collect()
}

fn shared(one: &Path, other: &Path) -> PathBuf {
    let pairs = one.components().zip(other.components());
    pairs.take_while(|(one, other)| one == other).map(|(one, _)| one).collect()
}

fn file(base: &Path, path: &Path) -> Result<File, FilesError> {
    let failed = |cause| FilesError::File { path: path.to_owned(), cause };
    let metadata = fs::metadata(path).map_err(failed)?;
    let modified = metadata.modified().map_err(failed)?;
    let changed = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = path.strip_prefix(base).unwrap_or(path).to_str();
    Ok(File {
        id: id.ok_or_else(|| FilesError::NotUnicode(path.to_owned()))?.replace('\\', "/"),
        revision: format!("{}.{:09}+{}", changed.as_secs(), changed.subsec_nanos(), metadata.len()),
        url: Url::from_file_path(path).expect("the pattern was made absolute"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        folder
    }

    fn ids(folder: &Path, patterns: &[&str]) -> Vec<String> {
        let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let files = entries_from(folder, &patterns).unwrap();
        files.into_iter().map(|file| file.id).collect()
    }

    #[test]
    fn files_are_named_below_the_folder_that_the_patterns_share() {
        let folder = folder(&["a/x.txt", "a/b/x.txt", "a/b/y.md", "c/x.txt", "z.txt"]);
        let here = folder.path();
        assert_eq!(ids(here, &["a/**/*.txt"]), ["b/x.txt", "x.txt"]);
        assert_eq!(ids(here, &["./a/*.txt"]), ["x.txt"]);
        assert_eq!(ids(here, &["a/b/y.md"]), ["y.md"]);
        assert_eq!(ids(here, &["a/*.txt", "c/*.txt"]), ["a/x.txt", "c/x.txt"]);
        let absolute = format!("{}/c/*", here.display());
        assert_eq!(ids(here, &[&absolute]), ["x.txt"]);
    }

    #[test]
    fn a_file_that_two_patterns_match_comes_once() {
        let folder = folder(&["a.txt", "b.txt"]);
        assert_eq!(ids(folder.path(), &["*.txt", "a*"]), ["a.txt", "b.txt"]);
    }

    #[test]
    fn brackets_in_the_working_directory_are_no_pattern() {
        let folder = folder(&["[1]/a.txt"]);
        assert_eq!(ids(&folder.path().join("[1]"), &["*.txt"]), ["a.txt"]);
    }

    #[test]
    fn a_changed_file_has_another_revision_and_the_same_name() {
        let folder = folder(&["a b.txt"]);
        let file = || entries_from(folder.path(), &["*.txt".to_owned()]).unwrap().remove(0);
        let before = file();
        assert_eq!(before, file());
        fs::write(folder.path().join("a b.txt"), "longer than it was").unwrap();
        let after = file();
        assert_eq!((&after.id, &after.url), (&before.id, &before.url));
        assert_ne!(after.revision, before.revision);
        assert_eq!(after.url.to_file_path().unwrap(), folder.path().join("a b.txt"));
    }

    #[test]
    fn bad_patterns_and_patterns_without_a_match_are_errors() {
        let folder = folder(&["sub/a.txt"]);
        let error = |pattern: &str| entries_from(folder.path(), &[pattern.to_owned()]).unwrap_err();
        assert!(matches!(error("a***"), FilesError::BadPattern { .. }));
        assert!(matches!(error("*.md"), FilesError::NoMatch(..)));
        assert!(matches!(error("su*"), FilesError::NoMatch(..)), "a folder is no file");
        // One that matches is enough: a job may name kinds of files that are not there yet.
        assert_eq!(ids(folder.path(), &["*.md", "sub/*.txt"]), ["sub/a.txt"]);
    }
}
