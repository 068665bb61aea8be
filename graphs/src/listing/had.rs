//! What a run has had: so what is new in an offer can be told.

use std::collections::BTreeMap;

use operators::{
    catalogue::Line,
    record::{Entry, Key},
};

use super::kind::Offer;
use crate::ledger::{self, Fate};

/// The entries that a run has had, each as it last was, and the number that the next line gets.
#[derive(Clone, Debug, Default)]
pub struct Had {
    entries: BTreeMap<Key, Entry>,
    next_sequence: u64,
}

impl Had {
    /// What this account tells.
    pub fn of(ledger: &[ledger::Line], next_sequence: u64) -> Self {
        let mut entries = BTreeMap::new();
        for line in ledger {
            match line.fate {
                Fate::Withdrawn => entries.remove(&line.entry.key()),
                _ => entries.insert(line.entry.key(), line.entry.clone()),
            };
        }
        Self { entries, next_sequence }
    }

    /// The number that the next line gets.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// What of this is one source's.
    pub(super) fn of_source(&self, source: &str) -> Self {
        let own = self.entries.iter().filter(|(key, _)| key.source == source);
        let entries = own.map(|(key, entry)| (key.clone(), entry.clone())).collect();
        Self { entries, next_sequence: self.next_sequence }
    }

    /// Notes a line that was drawn.
    pub(super) fn note(&mut self, line: &Line) {
        let entry = line.entry();
        self.next_sequence = self.next_sequence.max(entry.sequence + 1);
        match line {
            Line::Withdrawn(_) => self.entries.remove(&entry.key()),
            Line::Read(_) | Line::Unusable(..) => self.entries.insert(entry.key(), entry.clone()),
        };
    }

    /// The lines, not numbered yet, that tell what is new in a source's offer: its new and revised
    /// entries in the offer's order, then those that are gone. What is gone is told only of an offer
    /// that is whole: a limited one leaves out much that is still there. They are had from now on.
    pub(super) fn news(&mut self, source: &str, offer: Offer) -> Vec<Line> {
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
            self.entries.insert(key, entry.clone());
            lines.push(match trouble {
                None => Line::Read(entry),
                Some(reason) => Line::Unusable(entry, reason),
            });
        }
        for (key, entry) in gone {
            self.entries.remove(&key);
            lines.push(Line::Withdrawn(entry));
        }
        lines
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
        let mut had = Had::default();
        let first = had.news("s", offer(&[("b", "1"), ("a", "1"), ("c", "1")], true));
        assert_eq!(told(first), ["read b", "read a", "read c"]);
        // a is revised, c is gone, d is new; b is as it was.
        let second = had.news("s", offer(&[("b", "1"), ("a", "2"), ("d", "1")], true));
        assert_eq!(told(second), ["read a", "read d", "gone c"]);
        // It is gone once, another source does not miss it, and a part of the offer proves nothing.
        assert_eq!(told(had.news("t", offer(&[], true))), [""; 0]);
        assert_eq!(told(had.news("s", offer(&[("b", "1")], false))), [""; 0]);
        assert_eq!(
            told(had.news("s", offer(&[("b", "1"), ("a", "2"), ("d", "1")], true))),
            [""; 0]
        );
        // What comes back is new.
        assert_eq!(told(had.news("s", offer(&[("c", "1")], false))), ["read c"]);
    }
}
