//! Lists the sources of a job: from what each has to offer to entries in catalogue order.
//!
//! Catalogue order is the order of the sources in the job, and within a source its own. Entries that
//! the run has had with the same revision are left out, which is all that resuming takes: what is
//! left begins exactly where the last commit ended. A revised entry is an entry again, and one that
//! its library has no more is listed once as withdrawn.

use std::collections::BTreeMap;

use crossbeam_channel::Sender;
use operators::{
    catalogue::{self, aozora, files},
    extract::{BadSelector, Extractor, Rule, Rules},
    fetch::{self, Client, Url},
    record::{Entry, Key},
    wake::Waker,
};
use sha2::{Digest, Sha256};

use crate::{
    events::{Event, Listed},
    job::{Aozora, Files, Job, Sample, Source},
    ledger::{Fate, Line},
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

/// The entries that a run has had, each as it last was, and the number that the next line gets.
#[derive(Clone, Debug, Default)]
pub struct Had {
    entries: BTreeMap<Key, Entry>,
    next_sequence: u64,
}

impl Had {
    /// What this account tells.
    pub fn of(ledger: &[Line], next_sequence: u64) -> Self {
        let mut entries = BTreeMap::new();
        for line in ledger {
            match line.fate {
                Fate::Withdrawn => entries.remove(&line.entry.key()),
                _ => entries.insert(line.entry.key(), line.entry.clone()),
            };
        }
        Self { entries, next_sequence }
    }

    /// The lines that tell what is new in a source's offer: its new and revised entries in the
    /// offer's order, then those that are gone. What is gone is told only of an offer that is
    /// whole: a limited one leaves out much that is still there.
    fn news(&mut self, source: &str, offer: Offer) -> Vec<catalogue::Line> {
        let mut lines = Vec::new();
        let mut gone: BTreeMap<Key, Entry> = self
            .entries
            .iter()
            .filter(|(key, _)| key.source == source && offer.is_whole)
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect();
        for (entry, trouble) in offer.entries {
            let key = entry.key();
            gone.remove(&key);
            let known = self.entries.get(&key);
            if known.is_some_and(|known| known.revision == entry.revision) {
                continue;
            }
            let entry = self.numbered(entry);
            self.entries.insert(key, entry.clone());
            lines.push(match trouble {
                None => catalogue::Line::Read(entry),
                Some(reason) => catalogue::Line::Unusable(entry, reason),
            });
        }
        for (key, entry) in gone {
            self.entries.remove(&key);
            lines.push(catalogue::Line::Withdrawn(self.numbered(entry)));
        }
        lines
    }

    fn numbered(&mut self, entry: Entry) -> Entry {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Entry { sequence, ..entry }
    }
}

/// What a source offers.
struct Offer {
    /// Its entries, in its order; of those that cannot be used, why.
    entries: Vec<(Entry, Option<String>)>,
    /// Whether an entry that is not here is not there.
    is_whole: bool,
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
    lines: &Sender<catalogue::Line>,
    waker: &Waker,
    events: &Sender<Event>,
) -> Result<(), ListingError> {
    for source in &job.source {
        let name = source.name();
        let offer = match source {
            Source::Aozora(source) => aozora_offer(source, client).await,
            Source::Sample(source) => sample_offer(source, sample, client).await,
            Source::Files(source) => files_offer(source),
        };
        let mut offer = offer.map_err(|trouble| ListingError {
            name: name.to_owned(),
            trouble: Box::new(trouble),
        })?;
        for (entry, _) in &mut offer.entries {
            entry.source = name.to_owned();
            entry.held_out = is_held_out(&entry.id, job.held_out.share);
        }
        let mut listed = Listed { source: name.to_owned(), ..Listed::default() };
        listed.offered = offer.entries.len() as u64;
        for line in had.news(name, offer) {
            match line {
                catalogue::Line::Read(_) => listed.new += 1,
                catalogue::Line::Unusable(..) => listed.unusable += 1,
                catalogue::Line::Withdrawn(_) => listed.withdrawn += 1,
            }
            let _the_job_is_ending = lines.send(line);
        }
        waker.wake();
        let _nobody_watches = events.send(Event::Listed(listed));
    }
    Ok(())
}

async fn aozora_offer(source: &Aozora, client: &Client) -> Result<Offer, Trouble> {
    let mirror = source.mirror.parse::<Url>().ok();
    let address: Url = source.index.parse().expect("checked with the job");
    let address = mirrored(&address, mirror.as_ref());
    let fetched = client.get(&address).await;
    let index =
        fetched.map_err(|source| Trouble::Fetch { url: address, source: Box::new(source) })?;
    let index = aozora::entries(&index.body, &source.wanted, mirror.as_ref())?;
    let usable = index.entries.into_iter().map(|work| {
        let entry = Entry {
            url: work.url.into(),
            id: work.id,
            revision: work.revision,
            title: work.title,
            credit: work.credit,
            orthography: work.orthography,
            ..Entry::default()
        };
        (entry, None)
    });
    let unusable = index.skipped.into_iter().map(|skipped| {
        let reason = skipped.reason.to_string();
        let unnamed = skipped.id.is_empty();
        let entry = Entry {
            id: if unnamed { format!("line {}", skipped.line) } else { skipped.id },
            // Once it can be used it has another revision, and is read.
            revision: format!("unusable: {reason}"),
            title: skipped.title,
            ..Entry::default()
        };
        (entry, Some(format!("line {} of the index: {reason}", skipped.line)))
    });
    let is_whole = source.wanted.limit.is_none();
    Ok(Offer { entries: usable.chain(unusable).collect(), is_whole })
}

async fn sample_offer(
    source: &Sample,
    server: Option<&SampleServer>,
    client: &Client,
) -> Result<Offer, Trouble> {
    let server = server.expect("the runner serves the sample library to jobs that read it");
    let as_aozora = Aozora {
        mirror: format!("http://{}", server.address()),
        wanted: source.wanted.clone(),
        ..Aozora::default()
    };
    aozora_offer(&as_aozora, client).await
}

fn files_offer(source: &Files) -> Result<Offer, Trouble> {
    let entries = files::entries(&source.paths)?.into_iter().map(|file| {
        let entry = Entry {
            title: file.id.clone(),
            id: file.id,
            revision: file.revision,
            url: file.url.into(),
            orthography: source.orthography.clone(),
            ..Entry::default()
        };
        (entry, None)
    });
    Ok(Offer { entries: entries.collect(), is_whole: true })
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
    fn only_what_is_new_revised_or_gone_is_told() {
        let entry = |id: &str, revision: &str| Entry {
            source: "s".into(),
            id: id.into(),
            revision: revision.into(),
            ..Entry::default()
        };
        let offer = |entries: &[(&str, &str)], is_whole| Offer {
            entries: entries.iter().map(|(id, revision)| (entry(id, revision), None)).collect(),
            is_whole,
        };
        let told = |lines: Vec<catalogue::Line>| -> Vec<String> {
            let told = |line| match line {
                catalogue::Line::Read(entry) => format!("{} read {}", entry.sequence, entry.id),
                catalogue::Line::Unusable(entry, _) => format!("{} bad", entry.sequence),
                catalogue::Line::Withdrawn(entry) => {
                    format!("{} gone {}", entry.sequence, entry.id)
                }
            };
            lines.into_iter().map(told).collect()
        };
        let mut had = Had::default();
        let first = had.news("s", offer(&[("b", "1"), ("a", "1"), ("c", "1")], true));
        assert_eq!(told(first), ["0 read b", "1 read a", "2 read c"]);
        // a is revised, c is gone, d is new; b is as it was.
        let second = had.news("s", offer(&[("b", "1"), ("a", "2"), ("d", "1")], true));
        assert_eq!(told(second), ["3 read a", "4 read d", "5 gone c"]);
        // It is gone once, another source does not miss it, and a part of the offer proves nothing.
        assert_eq!(told(had.news("t", offer(&[], true))), [""; 0]);
        assert_eq!(told(had.news("s", offer(&[("b", "1")], false))), [""; 0]);
        assert_eq!(
            told(had.news("s", offer(&[("b", "1"), ("a", "2"), ("d", "1")], true))),
            [""; 0]
        );
        // What comes back is new.
        assert_eq!(told(had.news("s", offer(&[("c", "1")], false))), ["6 read c"]);
    }
}
