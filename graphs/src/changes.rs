//! What changed in the libraries between one reading of the whole catalogue and the next.

use std::collections::HashSet;

use operators::{Epoch, record::Key};
use serde::Serialize;

use crate::{
    checkpoint::Counts,
    ledger::{Fate, Line},
};

/// What changed, each line as the ledger has it, in catalogue order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The epoch at which the catalogue had been read to its end; none if everything is new.
    pub since: Option<Epoch>,
    /// Entries that were not there before.
    pub added: Vec<Line>,
    /// Entries that were there with another revision.
    pub revised: Vec<Line>,
    /// Entries that are there no more.
    pub withdrawn: Vec<Line>,
}

/// What changed since the catalogue was last read to its end, not counting now.
pub fn changes(ledger: &[Line], counts: &Counts) -> Changes {
    // At the end of a reading, the change is what that reading brought.
    let last = ledger.last().map(|line| line.epoch);
    let at_the_end = counts.completed.is_some_and(|end| last.is_none_or(|last| last <= end));
    let since = if at_the_end { counts.completed_before } else { counts.completed };
    let mut changes = Changes { since, ..Changes::default() };
    let mut there: HashSet<Key> = HashSet::new();
    for line in ledger {
        let key = line.entry.key();
        let list = match line.fate {
            Fate::Withdrawn => {
                there.remove(&key);
                &mut changes.withdrawn
            }
            _ if there.insert(key) => &mut changes.added,
            _ => &mut changes.revised,
        };
        if since.is_none_or(|since| line.epoch > since) {
            list.push(line.clone());
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use operators::record::Entry;

    use super::*;

    fn line(epoch: Epoch, id: &str, fate: Fate) -> Line {
        Line::without_text(Entry { id: id.into(), ..Entry::default() }, epoch, fate)
    }

    fn ids(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.entry.id.as_str()).collect()
    }

    #[test]
    fn changes_are_what_came_after_the_catalogue_was_last_read_to_its_end() {
        let ledger = [
            line(0, "a", Fate::Learnt),
            line(0, "b", Fate::Rejected),
            line(1, "c", Fate::HeldOut),
            line(3, "a", Fate::Learnt),
            line(3, "d", Fate::Duplicate),
            line(4, "c", Fate::Withdrawn),
        ];
        // While the second reading is under way, and at its end.
        let (first, second) = (Some(2), Some(5));
        let under_way = Counts { completed: first, ..Counts::default() };
        let at_its_end = Counts { completed: second, completed_before: first, ..Counts::default() };
        for counts in [under_way, at_its_end] {
            let changes = changes(&ledger, &counts);
            assert_eq!(changes.since, Some(2));
            assert_eq!(ids(&changes.added), ["d"]);
            assert_eq!(ids(&changes.revised), ["a"]);
            assert_eq!(ids(&changes.withdrawn), ["c"]);
        }
        // In the first reading everything is new; what is withdrawn and comes back is new again.
        let changes = changes(&ledger[..3], &Counts::default());
        assert_eq!(ids(&changes.added), ["a", "b", "c"]);
    }
}
