//! What no source may say, and what one that is attached to a running job may not.

use std::path::{Component, Path, PathBuf};

use operators::{
    catalogue::{files, links::Links},
    extract::{Extractor, Rule},
    fetch::{Url, is_private_literal},
};

use super::{Files, Source};
use crate::job::{Job, JobError};

const WEB: &str = "use an address that begins with http:// or https://";
const MIRROR: &str =
    "use an address that begins with http:// or https://, or file:/// and the path of a copy";
const SELECTOR: &str = "write a CSS selector, such as \"article\"";

/// Refuses lists of sources that no job can read.
pub fn check(sources: &[Source]) -> Result<(), JobError> {
    if sources.is_empty() {
        let advice = "add a [[source]] table, such as kind = \"sample\"";
        return Err(JobError::senseless("source", &"missing", advice));
    }
    for (index, source) in sources.iter().enumerate() {
        let name = source.name();
        let key = |field: &str| format!("source.{index}.{field}");
        if sources[..index].iter().any(|other| other.name() == name) {
            let advice = "give each source a name of its own";
            return Err(JobError::senseless(&key("name"), &format!("\"{name}\" again"), advice));
        }
        let is_stdin = |source: &Source| matches!(source, Source::Stdin(_));
        if is_stdin(source) && sources[..index].iter().any(is_stdin) {
            let advice = "read standard input once";
            return Err(JobError::senseless(&key("kind"), &"stdin again", advice));
        }
        check_one(source, &key)?;
    }
    Ok(())
}

fn check_one(source: &Source, key: &dyn Fn(&str) -> String) -> Result<(), JobError> {
    let require = |holds: bool, field: &str, found: &dyn ToString, advice: &str| {
        if holds { Ok(()) } else { Err(JobError::senseless(&key(field), found, advice)) }
    };
    require(!source.name().is_empty(), "name", &"empty", "give the source a name")?;
    if let Some(weight) = source.weight() {
        let advice = "use a share above 0, or leave it out to read the source in turn";
        require(weight > 0.0 && weight.is_finite(), "weight", &weight, advice)?;
    }
    match source {
        Source::Sample(_) | Source::Stdin(_) => Ok(()),
        Source::Aozora(aozora) => {
            require(is_web(&aozora.index), "index", &aozora.index, WEB)?;
            let mirror = &aozora.mirror;
            let is_mirror = mirror.is_empty() || is_web(mirror) || copy(mirror).is_some();
            require(is_mirror, "mirror", mirror, MIRROR)
        }
        Source::Files(files) => {
            let advice = "name files, such as [\"texts/*.txt\"]";
            require(!files.paths.is_empty(), "paths", &"empty", advice)?;
            require(can_select(&files.selector), "selector", &files.selector, SELECTOR)?;
            require(!files.column.is_empty(), "column", &"empty", "name the column with the text")?;
            every(files.every, key)
        }
        Source::Pages(pages) => {
            for url in &pages.urls {
                require(is_web(url), "urls", url, WEB)?;
            }
            let sitemap = &pages.sitemap;
            require(sitemap.is_empty() || is_web(sitemap), "sitemap", sitemap, WEB)?;
            let nothing =
                pages.urls.is_empty() && sitemap.is_empty() && pages.list.as_os_str().is_empty();
            let advice = "name pages in `urls` or `list`, or a `sitemap`";
            require(!nothing, "urls", &"empty", advice)?;
            require(can_select(&pages.selector), "selector", &pages.selector, SELECTOR)?;
            let follow = &pages.follow;
            let can_follow = follow.is_empty() || Links::new(follow).is_ok();
            require(
                can_follow,
                "follow",
                follow,
                "write a CSS selector of links, such as \"a.next\"",
            )
        }
        Source::Feed(feed) => {
            require(is_web(&feed.url), "url", &feed.url, WEB)?;
            require(can_select(&feed.selector), "selector", &feed.selector, SELECTOR)?;
            every(feed.every, key)
        }
    }
}

fn every(seconds: f64, key: &dyn Fn(&str) -> String) -> Result<(), JobError> {
    const DAY: f64 = 86_400.0;
    match (0.1..=DAY).contains(&seconds) {
        true => Ok(()),
        false => Err(JobError::senseless(&key("every"), &seconds, "use seconds from 0.1 to 86400")),
    }
}

fn is_web(address: &str) -> bool {
    let is_web = |url: Url| ["http", "https"].contains(&url.scheme()) && url.has_host();
    address.parse().is_ok_and(is_web)
}

/// The folder that an address names, if it is one of this machine.
fn copy(address: &str) -> Option<PathBuf> {
    let url: Url = address.parse().ok()?;
    url.to_file_path().ok().filter(|_| url.scheme() == "file")
}

/// Whether text can be taken by this selector; an empty one takes the whole body.
fn can_select(selector: &str) -> bool {
    selector.is_empty() || Extractor::new(&Rule::Sniffed(selector.to_owned())).is_ok()
}

/// Refuses a source that somebody wants to attach to a job which is running, or may be: one that no
/// job could read, and one that would read what the job does not allow. Who may attach sources may
/// make the job read whatever it can read, so that is bounded by the job file alone: files only under
/// `allow.files`, private networks only with `fetch.allow_private`, standard input never.
///
/// # Errors
/// With the key in question and what would be allowed.
pub fn check_attached(source: &Source, job: &Job) -> Result<(), JobError> {
    let key = |field: &str| format!("source.{field}");
    let name = source.name();
    if job.source.iter().any(|other| other.name() == name) {
        let advice = "give it a name that no source of the job has";
        return Err(JobError::senseless(&key("name"), &format!("\"{name}\" again"), advice));
    }
    check_one(source, &key)?;
    let private = |field: &str, address: &str, declared: bool| {
        let literal = address.parse().is_ok_and(|url| is_private_literal(&url));
        let advice = "an attached source reads the public web only, unless the job itself has \
                      fetch.allow_private = true";
        match (declared || literal) && !job.fetch.allow_private {
            true => Err(JobError::senseless(&key(field), &address, advice)),
            false => Ok(()),
        }
    };
    match source {
        Source::Sample(_) if job.source.iter().any(|other| matches!(other, Source::Sample(_))) => {
            Ok(())
        }
        Source::Sample(_) => {
            let advice = "the sample library is served only to jobs that began with it";
            Err(JobError::senseless(&key("kind"), &"sample", advice))
        }
        Source::Stdin(_) => {
            let advice = "standard input belongs to whoever started the job; attach files instead";
            Err(JobError::senseless(&key("kind"), &"stdin", advice))
        }
        Source::Aozora(aozora) => {
            private("index", &aozora.index, false)?;
            match copy(&aozora.mirror) {
                Some(folder) => {
                    // A pattern of files in the folder is what is asked about.
                    let files = folder.join("*");
                    allowed(&files.to_string_lossy(), &job.allow.files, &key("mirror"))
                }
                None => private("mirror", &aozora.mirror, false),
            }
        }
        Source::Feed(feed) => private("url", &feed.url, feed.allow_private),
        Source::Pages(pages) => {
            if !pages.list.as_os_str().is_empty() {
                allowed(&pages.list.to_string_lossy(), &job.allow.files, &key("list"))?;
            }
            for url in pages.urls.iter().chain([&pages.sitemap]) {
                private("urls", url, pages.allow_private)?;
            }
            Ok(())
        }
        Source::Files(Files { paths, .. }) => {
            paths.iter().try_for_each(|path| allowed(path, &job.allow.files, &key("paths")))
        }
    }
}

/// Whether a pattern of paths stays under one of these folders, symbolic links followed.
fn allowed(pattern: &str, folders: &[PathBuf], key: &str) -> Result<(), JobError> {
    let refused = |advice: &str| Err(JobError::senseless(key, &pattern, advice));
    if Path::new(pattern).components().any(|part| part == Component::ParentDir) {
        return refused("write the path without `..`");
    }
    let here = [PathBuf::from(".")];
    let folders = if folders.is_empty() { &here } else { folders };
    let resolved = |path: &Path| path.canonicalize();
    let Ok(base) = resolved(&Path::new(".").join(files::fixed_base(pattern))) else {
        return refused("there is no such folder");
    };
    if folders.iter().any(|folder| resolved(folder).is_ok_and(|folder| base.starts_with(folder))) {
        return Ok(());
    }
    refused("an attached source reads files only under the folders in the job's allow.files")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::job::{Aozora, Feed, Pages, Stdin};

    fn refusal(source: &Source, job: &Job) -> String {
        check_attached(source, job).expect_err("it is not allowed").to_string()
    }

    fn files(path: &Path) -> Source {
        Source::Files(Files { paths: vec![path.display().to_string()], ..Files::default() })
    }

    #[test]
    fn attached_files_stay_under_the_folders_that_the_job_allows() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        fs::create_dir_all(&inside).expect("room");
        fs::create_dir_all(&outside).expect("room");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("room");
        let mut job = Job::default();
        job.allow.files = vec![inside.clone()];
        check_attached(&files(&inside.join("*.txt")), &job).expect("it is inside");
        for path in [outside.join("*.txt"), inside.join("link/*.txt"), "/etc/passwd".into()] {
            assert!(refusal(&files(&path), &job).contains("allow.files"), "{path:?}");
        }
        let copy = |path: &Path| {
            let mirror = format!("file://{}", path.display());
            Source::Aozora(Aozora { mirror, ..Aozora::default() })
        };
        check_attached(&copy(&inside), &job).expect("it is inside");
        for path in [&outside, &inside.join("link")] {
            assert!(refusal(&copy(path), &job).contains("allow.files"), "{path:?}");
        }
        let message = refusal(&files(&inside.join("*/../../out/*.txt")), &job);
        assert!(message.ends_with("write the path without `..`"), "{message}");
        // By default it is the folder in which the job was started.
        check_attached(&files(Path::new("src/*.rs")), &Job::default()).expect("it is here");
        assert!(refusal(&files(&inside), &Job::default()).contains("allow.files"));
    }

    #[test]
    fn attached_sources_read_the_public_web_only_and_cannot_allow_themselves_more() {
        let url = || "http://169.254.169.254/latest".to_owned();
        let sources = [
            Source::Pages(Pages { urls: vec![url()], allow_private: true, ..Pages::default() }),
            Source::Pages(Pages { sitemap: url(), ..Pages::default() }),
            Source::Feed(Feed { url: url(), ..Feed::default() }),
            Source::Feed(Feed {
                url: "https://example.org/".into(),
                allow_private: true,
                ..Feed::default()
            }),
            Source::Aozora(Aozora { mirror: url(), ..Aozora::default() }),
        ];
        let mut job = Job::default();
        for source in &sources {
            assert!(refusal(source, &job).contains("fetch.allow_private"), "{source:?}");
        }
        job.fetch.allow_private = true;
        for source in &sources {
            check_attached(source, &job).expect("the job allows it");
        }
    }

    #[test]
    fn other_kinds_of_address_and_standard_input_are_refused() {
        let job = Job::default();
        let pages = |url: &str| Source::Pages(Pages { urls: vec![url.into()], ..Pages::default() });
        for url in ["file:///etc/passwd", "ftp://example.org/", "/etc/passwd"] {
            assert!(refusal(&pages(url), &job).contains("http://"), "{url}");
            assert!(check(&[pages(url)]).is_err(), "{url}");
        }
        assert!(refusal(&Source::Stdin(Stdin::default()), &job).contains("standard input"));
        let twice = [
            Source::Stdin(Stdin::default()),
            Source::Stdin(Stdin { name: "b".into(), ..Stdin::default() }),
        ];
        assert!(check(&twice).is_err());
    }
}
