//! Lists the sources of a job: from what each has to offer to entries in catalogue order.
//!
//! Catalogue order is the order of the sources in the job, and within a source its own. Entries that
//! the run has had with the same revision are left out, which is all that resuming takes: what is
//! left begins exactly where the last commit ended. A revised entry is an entry again, and one that
//! its library has no more is listed once as withdrawn. Endless sources come after those that end,
//! each offer as it arrives; with them a listing has no end.

mod aozora;
mod feed;
mod files;
pub mod kind;
mod pages;
mod spool;
mod stdin;
mod trouble;

use std::collections::BTreeMap;

use crossbeam_channel::Sender;
use operators::{
    catalogue,
    extract::{Extractor, Rule, Rules},
    record::{Entry, Key},
    wake::Waker,
};
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    events::{Event, Listed},
    job::{FeedText, Job, Source},
    ledger::{Fate, Line},
};
use kind::{Kind, Offer, Reach};
pub use trouble::Trouble;

/// Why a source cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("source \"{name}\": {trouble}")]
pub struct ListingError {
    /// The source.
    pub name: String,
    /// What is wrong with it.
    pub trouble: Box<Trouble>,
}

/// The rules by which the pages of a job's sources are read.
///
/// # Errors
/// If a selector is none.
pub fn rules(job: &Job) -> Result<Rules, ListingError> {
    let rules = Rules::default();
    for source in &job.source {
        let extractor = Extractor::new(&rule(source)).map_err(|bad| ListingError {
            name: source.name().to_owned(),
            trouble: Box::new(bad.into()),
        })?;
        rules.insert(source.name(), extractor);
    }
    Ok(rules)
}

/// The rule by which a source's pages are read.
pub fn rule(source: &Source) -> Rule {
    let or_body = |selector: &str| match selector {
        "" => "body".to_owned(),
        selector => selector.to_owned(),
    };
    match source {
        Source::Aozora(_) | Source::Sample(_) => Rule::Aozora,
        Source::Pages(source) => Rule::Sniffed(or_body(&source.selector)),
        Source::Feed(source) => match source.text {
            FeedText::Page => Rule::Sniffed(or_body(&source.selector)),
            FeedText::Content => Rule::Selector(or_body(&source.selector)),
        },
        Source::Files(source) => Rule::Sniffed(or_body(&source.selector)),
        Source::Stdin(_) => Rule::PlainText,
    }
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

/// Whether an entry is never trained on: a share of all entries, by a hash of the id alone, so that
/// it is the same in every job and every revision.
pub fn is_held_out(id: &str, share: f64) -> bool {
    let hash = Sha256::digest(id);
    let leading = u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"));
    (leading as f64) < share * 2f64.powi(64)
}

/// Lists every source of the job and sends what is new, in catalogue order.
///
/// # Errors
/// The first source that cannot be listed: a job with half a catalogue would be another job.
pub async fn list(
    job: &Job,
    reach: &Reach,
    had: Had,
    lines: &Sender<catalogue::Line>,
    waker: &Waker,
    events: &Sender<Event>,
) -> Result<(), ListingError> {
    let mut lister = Lister { share: job.held_out.share, had, lines, waker, events };
    // Offers of endless sources, in the order in which they come.
    let mut endless = JoinSet::new();
    let (sender, mut offers) = mpsc::channel(1);
    for source in &job.source {
        kind::permit(source, reach);
        let mut kind = kind::open(source, reach);
        let name = source.name().to_owned();
        if kind.is_endless() {
            endless.spawn(hand_over(kind, name, sender.clone()));
            continue;
        }
        while let Some(offer) = kind.next().await.map_err(in_source(&name))? {
            lister.take(&name, offer);
        }
    }
    drop(sender);
    while let Some((name, offer)) = offers.recv().await {
        lister.take(&name, offer.map_err(in_source(&name))?);
    }
    Ok(())
}

/// Sends what an endless source offers, until it ends, fails, or nobody wants it any more.
async fn hand_over(
    mut kind: Box<dyn Kind>,
    name: String,
    offers: mpsc::Sender<(String, Result<Offer, Trouble>)>,
) {
    while let Some(offer) = kind.next().await.transpose() {
        let failed = offer.is_err();
        if offers.send((name.clone(), offer)).await.is_err() || failed {
            return;
        }
    }
}

fn in_source(name: &str) -> impl FnOnce(Trouble) -> ListingError {
    move |trouble| ListingError { name: name.to_owned(), trouble: Box::new(trouble) }
}

/// Turns offers into lines.
struct Lister<'a> {
    share: f64,
    had: Had,
    lines: &'a Sender<catalogue::Line>,
    waker: &'a Waker,
    events: &'a Sender<Event>,
}

impl Lister<'_> {
    /// Sends what is new in an offer.
    fn take(&mut self, name: &str, mut offer: Offer) {
        for (entry, _) in &mut offer.entries {
            entry.source = name.to_owned();
            entry.held_out = is_held_out(&entry.id, self.share);
        }
        let mut listed = Listed { source: name.to_owned(), ..Listed::default() };
        listed.offered = offer.entries.len() as u64;
        for line in self.had.news(name, offer) {
            match line {
                catalogue::Line::Read(_) => listed.new += 1,
                catalogue::Line::Unusable(..) => listed.unusable += 1,
                catalogue::Line::Withdrawn(_) => listed.withdrawn += 1,
            }
            let _the_job_is_ending = self.lines.send(line);
        }
        self.waker.wake();
        let _nobody_watches = self.events.send(Event::Listed(listed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
