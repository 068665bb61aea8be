//! Lists the sources of a job: from what each has to offer to entries in catalogue order.
//!
//! Catalogue order is the order of the sources in the job, and within a source its own. Entries that
//! the run has had with the same revision are left out, which is all that resuming takes: what is
//! left begins exactly where the last commit ended. A revised entry is an entry again.

use std::collections::HashMap;

use crossbeam_channel::Sender;
use operators::{
    catalogue::{aozora, files},
    extract::{BadSelector, Extractor, Rule, Rules},
    fetch::{self, Client, Url},
    record::{Entry, Key},
    wake::Waker,
};
use sha2::{Digest, Sha256};

use crate::{
    events::{Event, Listed},
    job::{Aozora, Files, Job, Sample, Source},
    ledger::Line,
    sample::SampleServer,
};

/// Why a source cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("source \"{name}\": {trouble}")]
pub struct ListingError {
    /// The source.
    pub name: String,
    /// What is wrong with it.
    pub trouble: Box<Trouble>,
}

/// What can be wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The index could not be fetched.
    #[error("could not fetch the index {url}: {source}")]
    Fetch {
        /// Where it should be.
        url: Url,
        /// Why not.
        source: Box<fetch::Trouble>,
    },
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] aozora::IndexError),
    /// The files could not be listed.
    #[error(transparent)]
    Files(#[from] files::FilesError),
    /// The selector is none.
    #[error(transparent)]
    Selector(#[from] BadSelector),
    /// The sample library could not be served.
    #[error("could not serve the sample library on the loopback interface: {0}")]
    Serve(#[from] std::io::Error),
}

/// The rules by which the pages of a job's sources are read.
///
/// # Errors
/// If a selector is none.
pub fn rules(job: &Job) -> Result<Rules, ListingError> {
    let rules = Rules::default();
    for source in &job.source {
        let rule = match source {
            Source::Aozora(_) | Source::Sample(_) => Rule::Aozora,
            Source::Files(Files { selector, .. }) if selector.is_empty() => {
                Rule::Sniffed("body".into())
            }
            Source::Files(Files { selector, .. }) => Rule::Sniffed(selector.clone()),
        };
        let extractor = Extractor::new(&rule).map_err(|bad| ListingError {
            name: source.name().to_owned(),
            trouble: Box::new(bad.into()),
        })?;
        rules.insert(source.name(), extractor);
    }
    Ok(rules)
}

/// The entries that a run has had, each with its last revision, and the number that the next gets.
#[derive(Clone, Debug, Default)]
pub struct Had {
    revisions: HashMap<Key, String>,
    next_sequence: u64,
}

impl Had {
    /// What this account tells.
    pub fn of(ledger: &[Line], next_sequence: u64) -> Self {
        let revision = |line: &Line| (line.entry.key(), line.entry.revision.clone());
        Self { revisions: ledger.iter().map(revision).collect(), next_sequence }
    }

    /// Whether the entry is new or revised.
    fn lacks(&self, entry: &Entry) -> bool {
        self.revisions.get(&entry.key()) != Some(&entry.revision)
    }
}

/// Whether an entry is never trained on: a share of all entries, by a hash of the id alone, so that
/// it is the same in every job and every revision.
pub fn is_held_out(id: &str, share: f64) -> bool {
    let hash = Sha256::digest(id);
    let leading = u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"));
    (leading as f64) < share * 2f64.powi(64)
}

/// Lists every source of the job and sends what is new, in catalogue order. `sample` is where the
/// sample library is served, if the job reads it.
///
/// # Errors
/// The first source that cannot be listed: a job with half a catalogue would be another job.
pub async fn list(
    job: &Job,
    client: &Client,
    sample: Option<&SampleServer>,
    mut had: Had,
    entries: &Sender<Entry>,
    waker: &Waker,
    events: &Sender<Event>,
) -> Result<(), ListingError> {
    for source in &job.source {
        let name = source.name();
        let listed = match source {
            Source::Aozora(source) => aozora_entries(source, client).await,
            Source::Sample(source) => sample_entries(source, sample, client).await,
            Source::Files(source) => file_entries(source),
        };
        let (listed, skipped) = listed.map_err(|trouble| ListingError {
            name: name.to_owned(),
            trouble: Box::new(trouble),
        })?;
        let wanted = listed.len() as u64;
        let mut new = 0;
        for mut entry in listed {
            if had.lacks(&entry) {
                entry.sequence = had.next_sequence;
                entry.held_out = is_held_out(&entry.id, job.held_out.share);
                had.next_sequence += 1;
                new += 1;
                let _the_job_is_ending = entries.send(entry);
            }
        }
        waker.wake();
        let listed = Listed { source: name.to_owned(), wanted, new, skipped };
        let _nobody_watches = events.send(Event::Listed(listed));
    }
    Ok(())
}

type Offer = (Vec<Entry>, Vec<String>);

async fn aozora_entries(source: &Aozora, client: &Client) -> Result<Offer, Trouble> {
    let mirror = source.mirror.parse::<Url>().ok();
    let address: Url = source.index.parse().expect("checked with the job");
    let address = mirrored(&address, mirror.as_ref());
    let fetched = client.get(&address).await;
    let index =
        fetched.map_err(|source| Trouble::Fetch { url: address, source: Box::new(source) })?;
    let index = aozora::entries(&index.body, &source.wanted, mirror.as_ref())?;
    let entries = index.entries.into_iter().map(|work| Entry {
        source: source.name.clone(),
        url: work.url.into(),
        id: work.id,
        revision: work.revision,
        title: work.title,
        credit: work.credit,
        orthography: work.orthography,
        ..Entry::default()
    });
    let skipped = index.skipped.iter().map(ToString::to_string);
    Ok((entries.collect(), skipped.collect()))
}

async fn sample_entries(
    source: &Sample,
    server: Option<&SampleServer>,
    client: &Client,
) -> Result<Offer, Trouble> {
    let server = server.expect("the runner serves the sample library to jobs that read it");
    let as_aozora = Aozora {
        name: source.name.clone(),
        mirror: format!("http://{}", server.address()),
        wanted: source.wanted.clone(),
        ..Aozora::default()
    };
    aozora_entries(&as_aozora, client).await
}

fn file_entries(source: &Files) -> Result<Offer, Trouble> {
    let entries = files::entries(&source.paths)?.into_iter().map(|file| Entry {
        source: source.name.clone(),
        title: file.id.clone(),
        id: file.id,
        revision: file.revision,
        url: file.url.into(),
        orthography: source.orthography.clone(),
        ..Entry::default()
    });
    Ok((entries.collect(), Vec::new()))
}

/// The address with scheme, host and port of the mirror.
fn mirrored(address: &Url, mirror: Option<&Url>) -> Url {
    let Some(mirror) = mirror else { return address.clone() };
    let mut at_mirror = mirror.clone();
    let base = mirror.path().trim_end_matches('/');
    at_mirror.set_path(&format!("{base}{}", address.path()));
    at_mirror.set_query(address.query());
    at_mirror
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_replaces_scheme_host_and_port() {
        let address = "https://www.aozora.gr.jp/cards/1/files/2.html".parse().expect("a URL");
        let at = |mirror: &str| mirrored(&address, mirror.parse().ok().as_ref()).to_string();
        assert_eq!(at("http://127.0.0.1:8000"), "http://127.0.0.1:8000/cards/1/files/2.html");
        assert_eq!(at("http://host/of/it/"), "http://host/of/it/cards/1/files/2.html");
        assert_eq!(at(""), address.to_string());
    }

    #[test]
    fn the_held_out_share_is_about_that_share_and_grows_with_it() {
        let ids: Vec<String> = (0..10_000).map(|id| format!("000001/{id:06}")).collect();
        let count = |share| ids.iter().filter(|id| is_held_out(id, share)).count();
        assert_eq!(count(0.0), 0);
        assert!((150..250).contains(&count(0.02)), "{}", count(0.02)); // 200 ± 3.5 σ
        assert!(ids.iter().all(|id| !is_held_out(id, 0.02) || is_held_out(id, 0.05)));
    }

    #[test]
    fn only_what_is_new_or_revised_is_listed_again() {
        let entry = |id: &str, revision: &str| Entry {
            id: id.into(),
            revision: revision.into(),
            ..Entry::default()
        };
        let had = Had {
            revisions: [("a", "1"), ("b", "1")]
                .map(|(id, revision)| (entry(id, revision).key(), revision.to_owned()))
                .into(),
            next_sequence: 2,
        };
        assert!(!had.lacks(&entry("a", "1")));
        assert!(had.lacks(&entry("b", "2")));
        assert!(had.lacks(&entry("c", "1")));
    }
}
