//! Files of this machine: offers the documents in those that match its patterns, by path and then in
//! the order of the file; once, or whenever there are new ones.
//!
//! A watched file is offered once it has stood still from one look to the next, so that one which is
//! being written is not read by halves. A file that is as it was is not opened again.

use std::{collections::BTreeMap, time::Duration};

use operators::{
    catalogue::files::{self, File, FilesError},
    container::{self, Columns, Document},
    fetch::Client,
    record::Entry,
};

use super::{
    Trouble,
    kind::{Kind, NextOffer, Offer, Reach},
};
use crate::job::Files;

/// Files by patterns.
pub(super) struct FileList {
    source: Files,
    client: Client,
    // The last look: what there was, in which revision.
    seen: BTreeMap<String, String>,
    // What was offered, in which revision.
    offered: BTreeMap<String, String>,
    looks: u64,
}

impl FileList {
    pub fn new(source: Files, reach: &Reach) -> Self {
        let (seen, offered) = (BTreeMap::new(), BTreeMap::new());
        Self { source, client: reach.client.clone(), seen, offered, looks: 0 }
    }

    async fn next_offer(&mut self) -> Result<Option<Offer>, Trouble> {
        if !self.source.watch {
            self.looks += 1;
            if self.looks > 1 {
                return Ok(None);
            }
            let found = files::entries(&self.source.paths)?;
            return self.offer(found, true).await.map(Some);
        }
        loop {
            if self.looks > 0 {
                tokio::time::sleep(Duration::from_secs_f64(self.source.every)).await;
            }
            self.looks += 1;
            let found = match files::entries_so_far(&self.source.paths) {
                Ok(found) => found,
                // A file that went away while it was looked at; the next look will tell.
                Err(FilesError::File { .. } | FilesError::Folder(_)) if self.looks > 1 => continue,
                Err(error) => return Err(error.into()),
            };
            let last = std::mem::replace(&mut self.seen, revisions(&found));
            let new = ready(found, &last, &self.offered);
            if !new.is_empty() {
                let offered = revisions(&new);
                let offer = self.offer(new, false).await?;
                self.offered.extend(offered);
                return Ok(Some(offer));
            }
        }
    }

    async fn offer(&self, found: Vec<File>, is_whole: bool) -> Result<Offer, Trouble> {
        let columns = Columns {
            text: self.source.column.clone(),
            id: self.source.id_column.clone(),
            title: self.source.title_column.clone(),
            limit: self.client.body_limit(),
        };
        let (unpacked, orthography) =
            (self.client.unpacked().clone(), self.source.orthography.clone());
        let read = tokio::task::spawn_blocking(move || {
            let mut offer = Offer { entries: Vec::new(), is_whole };
            for file in found {
                let path = file.url.to_file_path().expect("files have paths");
                let mut take = |document| offer.entries.push(entry(&file, document, &orthography));
                if let Err(error) = container::documents(&path, &columns, &unpacked, &mut take) {
                    // What is behind the damage was not seen, so nobody may call it gone.
                    offer.is_whole = false;
                    let reason = error.to_string();
                    let revision = format!("{}: {reason}", file.revision);
                    let entry =
                        Entry { id: file.id, title: String::new(), revision, ..Entry::default() };
                    offer.entries.push((entry, Some(reason)));
                }
            }
            offer
        });
        Ok(read.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
    }
}

fn revisions(found: &[File]) -> BTreeMap<String, String> {
    found.iter().map(|file| (file.id.clone(), file.revision.clone())).collect()
}

/// What is to be offered after a look: what is as it was at the last one, and was not offered so.
fn ready(
    found: Vec<File>,
    last: &BTreeMap<String, String>,
    offered: &BTreeMap<String, String>,
) -> Vec<File> {
    let stands_still = |file: &File| last.get(&file.id) == Some(&file.revision);
    let is_new = |file: &File| offered.get(&file.id) != Some(&file.revision);
    found.into_iter().filter(|file| stands_still(file) && is_new(file)).collect()
}

impl Kind for FileList {
    fn is_endless(&self) -> bool {
        self.source.watch
    }

    fn next(&mut self) -> NextOffer<'_> {
        Box::pin(self.next_offer())
    }
}

fn entry(file: &File, document: Document, orthography: &str) -> (Entry, Option<String>) {
    let id = format!("{}{}", file.id, document.suffix);
    let mut url = file.url.clone();
    url.set_fragment(document.address.fragment().as_deref());
    let revision = document.revision.unwrap_or_else(|| file.revision.clone());
    let revision = match &document.trouble {
        None => revision,
        Some(trouble) => format!("unusable: {trouble}"),
    };
    let entry = Entry {
        title: document.title.unwrap_or_else(|| id.clone()),
        id,
        revision,
        url: url.into(),
        orthography: orthography.to_owned(),
        ..Entry::default()
    };
    (entry, document.trouble)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use operators::fetch::Settings;

    use super::*;

    fn list(folder: &Path, pattern: &str, watch: bool) -> FileList {
        let client = Client::new(&Settings::default()).expect("a client");
        let reach = Reach { client, sample: None, run: folder.to_owned() };
        let paths = vec![folder.join(pattern).display().to_string()];
        FileList::new(Files { paths, watch, every: 0.01, ..Files::default() }, &reach)
    }

    async fn ids(list: &mut FileList) -> Vec<String> {
        let offer = list.next().await.expect("readable").expect("an offer");
        offer.entries.into_iter().map(|(entry, _)| entry.id).collect()
    }

    #[tokio::test]
    async fn a_list_is_offered_once_and_damage_makes_it_a_part() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("a.jsonl"), "{\"text\": \"a\"}\n{}\n").expect("room");
        fs::write(folder.path().join("b.txt"), "b").expect("room");
        let mut whole = list(folder.path(), "*", false);
        let offer = whole.next().await.expect("readable").expect("an offer");
        assert!(offer.is_whole);
        let told: Vec<_> =
            offer.entries.iter().map(|(entry, trouble)| (&*entry.id, trouble.is_some())).collect();
        assert_eq!(told, [("a.jsonl#1", false), ("a.jsonl#2", true), ("b.txt", false)]);
        assert!(whole.next().await.expect("readable").is_none());
        fs::write(folder.path().join("c.csv"), "no,such\n1,2\n").expect("room");
        let offer = list(folder.path(), "*", false).next().await.expect("readable");
        assert!(!offer.expect("an offer").is_whole);
    }

    #[test]
    fn a_file_that_is_being_written_waits_until_it_stands_still() {
        let at = |revision: &str| File {
            id: "a.txt".into(),
            revision: revision.into(),
            url: "file:///a.txt".parse().expect("an address"),
        };
        let ready = |found: &str, last: &str, offered: &str| {
            let known = |revision: &str| revisions(&[at(revision)]);
            ready(vec![at(found)], &known(last), &known(offered)).len()
        };
        assert_eq!(ready("10 bytes", "none", "none"), 0, "seen for the first time");
        assert_eq!(ready("20 bytes", "10 bytes", "none"), 0, "still growing");
        assert_eq!(ready("20 bytes", "20 bytes", "none"), 1);
        assert_eq!(ready("20 bytes", "20 bytes", "20 bytes"), 0, "offered already");
        assert_eq!(ready("30 bytes", "30 bytes", "20 bytes"), 1, "changed since");
    }

    #[tokio::test]
    async fn a_watched_folder_offers_what_is_new_and_stands_still() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("b.txt"), "b").expect("room");
        fs::write(path("a.txt"), "a").expect("room");
        let mut watched = list(folder.path(), "*.txt", true);
        assert!(watched.is_endless());
        assert_eq!(ids(&mut watched).await, ["a.txt", "b.txt"]);
        fs::write(path("c.txt"), "c").expect("room");
        assert_eq!(ids(&mut watched).await, ["c.txt"]);
        fs::write(path("a.txt"), "another").expect("room");
        assert_eq!(ids(&mut watched).await, ["a.txt"]);
    }

    #[tokio::test]
    async fn a_watched_folder_may_be_empty_at_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut watched = list(folder.path(), "*.txt", true);
        let path = folder.path().join("a.txt");
        let (offer, ()) = tokio::join!(ids(&mut watched), async {
            tokio::task::yield_now().await;
            fs::write(path, "a").expect("room");
        });
        assert_eq!(offer, ["a.txt"]);
    }
}
