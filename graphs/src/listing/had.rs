//! What a run has had: so what is new in an offer can be told.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use operators::{catalogue::Line, record::Entry};

use super::kind::Offer;
use crate::ledger::{self, Fate};

/// The entries that a run has had, and the number that the next line gets.
#[derive(Clone, Debug, Default)]
pub struct Had {
    sources: BTreeMap<String, Known>,
    next_sequence: u64,
}

/// The entries of one source, by their name in it, each as it last was.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(BTreeSet<ById>);

/// An entry that its name in its source stands for. Those that several know are shared: a library has
/// many, and its listing has them all at once.
#[derive(Clone, Debug)]
struct ById(Arc<Entry>);

impl Borrow<str> for ById {
    fn borrow(&self) -> &str {
        &self.0.id
    }
}

impl Ord for ById {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ById {}

impl Had {
    /// What this account tells.
    pub fn of(ledger: &[ledger::Line], next_sequence: u64) -> Self {
        let mut had = Self { next_sequence, ..Self::default() };
        for ledger::Line { entry, fate, .. } in ledger {
            let known = had.known(&entry.source);
            match fate {
                Fate::Withdrawn => known.remove(entry),
                _ => known.insert(&Arc::new(entry.clone())),
            }
        }
        had
    }

    /// The number that the next line gets.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// What of this is one source's.
    pub(super) fn of_source(&self, source: &str) -> Known {
        self.sources.get(source).cloned().unwrap_or_default()
    }

    /// The lines with the numbers that they get if they are noted next.
    pub(super) fn numbered(&self, lines: &[Line]) -> Vec<Line> {
        let numbered = |(line, number): (&Line, _)| line.clone().numbered(number);
        lines.iter().zip(self.next_sequence..).map(numbered).collect()
    }

    /// Notes lines that were drawn, after which the next one gets the number `next_sequence`. Their own
    /// numbers are not looked at: an entry that was not numbered is shared with whoever knew it before.
    pub(super) fn note(&mut self, lines: &[Line], next_sequence: u64) {
        lines.iter().for_each(|line| self.known(&line.entry().source).note(line));
        self.next_sequence = self.next_sequence.max(next_sequence);
    }

    fn known(&mut self, source: &str) -> &mut Known {
        self.sources.entry(source.to_owned()).or_default()
    }
}

impl Known {
    /// Notes a line.
    pub(super) fn note(&mut self, line: &Line) {
        match line {
            Line::Withdrawn(entry) => self.remove(entry),
            Line::Read(entry) | Line::Unusable(entry, _) => self.insert(entry),
        }
    }

    /// The lines, not numbered yet, that tell what is new in the source's offer: its new and revised
    /// entries in the offer's order, then those that are gone. What is gone is told only of an offer
    /// that is whole: a limited one leaves out much that is still there. They are known from now on.
    pub(super) fn news(&mut self, offer: Offer) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut gone = if offer.is_whole { self.0.clone() } else { BTreeSet::new() };
        for (entry, trouble) in offer.entries {
            gone.remove(entry.id.as_str());
            let known = self.0.get(entry.id.as_str());
            if known.is_some_and(|ById(known)| known.revision == entry.revision) {
                continue;
            }
            let entry = Arc::new(entry);
            self.insert(&entry);
            lines.push(match trouble {
                None => Line::Read(entry),
                Some(reason) => Line::Unusable(entry, reason),
            });
        }
        for ById(entry) in gone {
            self.remove(&entry);
            lines.push(Line::Withdrawn(entry));
        }
        lines
    }

    fn insert(&mut self, entry: &Arc<Entry>) {
        self.0.replace(ById(Arc::clone(entry)));
    }

    fn remove(&mut self, entry: &Entry) {
        self.0.remove(entry.id.as_str());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let told = |lines: Vec<Line>| -> Vec<String> {
            let told = |line| match line {
                Line::Read(entry) => format!("read {}", entry.id),
                Line::Unusable(entry, _) => format!("bad {}", entry.id),
                Line::Withdrawn(entry) => format!("gone {}", entry.id),
            };
            lines.into_iter().map(told).collect()
        };
        let mut known = Known::default();
        let first = known.news(offer(&[("b", "1"), ("a", "1"), ("c", "1")], true));
        assert_eq!(told(first), ["read b", "read a", "read c"]);
        // a is revised, c is gone, d is new; b is as it was.
        let second = known.news(offer(&[("b", "1"), ("a", "2"), ("d", "1")], true));
        assert_eq!(told(second), ["read a", "read d", "gone c"]);
        // It is gone once, and a part of the offer proves nothing.
        assert_eq!(told(known.news(offer(&[("b", "1")], false))), [""; 0]);
        assert_eq!(told(known.news(offer(&[("b", "1"), ("a", "2"), ("d", "1")], true))), [""; 0]);
        // What comes back is new.
        assert_eq!(told(known.news(offer(&[("c", "1")], false))), ["read c"]);
    }

    #[test]
    fn an_account_tells_what_each_source_has_still() {
        let entry = |source: &str, sequence| Entry {
            sequence,
            source: source.into(),
            id: "1".into(),
            ..Entry::default()
        };
        let line =
            |source, sequence, fate| ledger::Line::without_text(entry(source, sequence), 0, fate);
        let had = Had::of(
            &[
                line("a", 0, Fate::Learnt),
                line("b", 1, Fate::HeldOut),
                line("a", 2, Fate::Withdrawn),
            ],
            3,
        );
        let new = |source: &str| {
            let entries = vec![(entry(source, 0), None)];
            had.of_source(source).news(Offer { entries, is_whole: true }).len()
        };
        assert_eq!([new("a"), new("b"), new("c")], [1, 0, 1]);
        assert_eq!(had.next_sequence(), 3);
    }
}
