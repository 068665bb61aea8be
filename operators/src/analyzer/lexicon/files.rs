//! Reads the files that lindera's compiler writes: the trie, where each word's entries begin, and the
//! entries. Whatever has another form is nothing.

use std::ops::Range;

use super::{END, Entries, Entry, LEAF, Node, OFFSET};

/// A length and so many numbers, and what comes after them.
pub(super) fn numbers(bytes: &[u8]) -> Option<(Vec<u32>, &[u8])> {
    let (length, bytes) = bytes.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (numbers, rest) = bytes.split_at_checked(length.checked_mul(4)?)?;
    Some((little_endian(numbers), rest))
}

fn little_endian(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number)).collect()
}

/// By key: where its entries are. And all entries, those of a key in the order in which lindera's
/// lattice takes them, which decides between paths of equal cost.
pub(super) fn words(firsts: &[u8], values: &[u8]) -> Option<(Vec<Range<u32>>, Vec<Entry>)> {
    let (firsts, (records, _)) = (little_endian(firsts), values.as_chunks::<10>());
    let (mut words, mut entries) = (Vec::with_capacity(firsts.len()), Vec::new());
    for bounds in firsts.windows(2) {
        let records = records.get(bounds[0] as usize..bounds[1] as usize)?;
        let first = entries.len();
        for [_, _, _, _, cost @ .., l0, l1, r0, r1] in records.iter().rev() {
            let (left, right) = (u16::from_le_bytes([*l0, *l1]), u16::from_le_bytes([*r0, *r1]));
            let entry = Entry { cost: i16::from_le_bytes(*cost), left, right };
            let alike = |other: &Entry| (other.left, other.right) == (left, right);
            match entries[first..].iter().position(alike) {
                None => entries.push(entry),
                Some(at) if entries[first + at].cost <= entry.cost => {}
                Some(at) => {
                    // The cheaper one stands where it stood: its place counts among equals.
                    entries.remove(first + at);
                    entries.push(entry);
                }
            }
        }
        words.push(first as u32..entries.len() as u32);
    }
    Some((words, entries))
}

/// The trie's nodes, each with its word.
pub(super) fn nodes(raw: &[[u8; 8]], words: &[Range<u32>], entries: &[Entry]) -> Option<Vec<Node>> {
    let pair = |at: u32| {
        let (base, check) = raw.get(at as usize)?.split_first_chunk::<4>()?;
        Some((u32::from_le_bytes(*base), u32::from_le_bytes(*check.first_chunk()?)))
    };
    (0..raw.len() as u32)
        .map(|at| {
            let (base, check) = pair(at)?;
            let key = match (base & LEAF != 0, check & LEAF != 0) {
                (true, _) => Some(base & OFFSET),
                // The word that ends here is the child that the end of a word leads to.
                (false, true) => Some(pair((base & OFFSET) ^ END)?.0 & OFFSET),
                (false, false) => None,
            };
            let word = match key.map(|key| words.get(key as usize).cloned()) {
                None => Entries::None,
                Some(word) => {
                    let Range { start, end } = word?;
                    match entries.get(start as usize..end as usize)? {
                        [] => Entries::None,
                        [entry] => Entries::One(*entry),
                        several => Entries::Several(start, several.len().try_into().ok()?),
                    }
                }
            };
            Some(Node { base, parent: check & OFFSET, word })
        })
        .collect()
}
