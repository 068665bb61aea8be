//! Finds the cheapest path of words through a text: Viterbi's algorithm, as MeCab has it.
//!
//! What a word costs is its own cost and that of the connection to the word before it. Of several
//! paths that cost the same, lindera's lattice takes one by the order in which it meets them, and
//! this takes the same one. It is faster because it asks each question once: at each place it keeps,
//! of the words that end there, one for each right id, and finds for each left id once which of them
//! comes before.

use super::lexicon::{Character, Entry, Found, Lexicon, SPACE};

/// Longer runs of unknown characters are not taken as one word: MeCab's `max-grouping-size` of 24,
/// which does not count the first one.
const LONGEST_GROUP: usize = 25;
/// Costs are not added up beyond this, so that sums of what is below it stay in range.
const DEAREST: i32 = i32::MAX - 131_072;
/// Where no word ends.
const NONE: u32 = u32::MAX;

/// One worker's scratch; the lexicon is shared.
#[derive(Default)]
pub(super) struct Lattice {
    // The text's characters, and where each begins in bytes.
    characters: Vec<Character>,
    offsets: Vec<u32>,
    found: Found,
    nodes: Vec<Node>,
    // By place: the node that was made last of those that end there.
    ends: Vec<u32>,

    // Of the place at hand. What goes before it, one for each right id:
    lefts: Vec<Left>,
    // by right id, where in `lefts` it is;
    places: Vec<Marked<usize>>,
    // by left id, which of them is the best for it.
    best: Vec<Marked<Rank>>,
    // Counts places, over all texts: what was noted at another place does not count.
    now: u64,
}

/// A word of the text, as it is cut.
pub(super) struct Cut {
    /// Where it begins, in bytes.
    pub start: usize,
    /// Its number in the lexicon, if that has it.
    pub number: Option<u32>,
}

/// A word that the text may have: on the cheapest path to its end.
struct Node {
    cost: i32,
    right: u16,
    // The character that it begins with.
    start: u32,
    // The node before it on its path.
    previous: u32,
    // The node that was made before this one of those that end at the same place.
    sibling: u32,
}

/// A cost and, in its lower half, a node: the least of several is the cheapest, and among equals
/// the one that was made first.
type Rank = i64;

struct Left {
    rank: Rank,
    right: u16,
}

/// A value, and where it was noted.
#[derive(Clone, Copy, Default)]
struct Marked<T> {
    at: u64,
    value: T,
}

fn rank(cost: i32, node: u32) -> Rank {
    i64::from(cost) << 32 | i64::from(node)
}

impl Lattice {
    /// Writes the words of `text` to `cuts`.
    pub fn cut(&mut self, lexicon: &Lexicon, text: &str, cuts: &mut Vec<Cut>) {
        cuts.clear();
        self.prepare(lexicon, text);
        let length = self.characters.len();
        let words = std::mem::take(&mut self.found);
        // The text begins behind a word that ends at its first place.
        self.push(0, 0, 0, 0, NONE);
        for at in 0..length {
            if self.ends[at] == NONE {
                continue;
            }
            self.arrive(at);
            let mut found = false;
            if self.characters[at].is_space() {
                self.add(lexicon, at, at + 1, &SPACE);
                found = true;
            }
            let mut word = words.longest(at);
            while let Some(here) = word {
                let end = at + here.length as usize;
                word = words.shorter(here);
                self.add(lexicon, at, end, lexicon.entries(here));
                found = true;
            }
            self.add_unknown(lexicon, at, found);
        }
        self.found = words;
        if self.ends[length] == NONE {
            return;
        }
        self.arrive(length);
        // And ends before a word whose id is 0.
        let (mut node, mut end) = (self.best(lexicon, 0) as u32, length as u32);
        while node != 0 {
            let Node { start, previous, .. } = self.nodes[node as usize];
            let number = self.found.number(start as usize, end - start);
            cuts.push(Cut { start: self.offsets[start as usize] as usize, number });
            (node, end) = (previous, start);
        }
        cuts.reverse();
    }

    /// Lets go of memory beyond what a text of `characters` needs.
    pub fn shrink_to(&mut self, characters: usize) {
        // Some ten words begin at a place of ordinary prose.
        let nodes = 16 * characters;
        if self.nodes.capacity() > nodes || self.characters.capacity() > characters {
            self.characters.clear();
            self.offsets.clear();
            self.ends.clear();
            self.nodes.clear();
            self.characters.shrink_to(characters);
            self.offsets.shrink_to(characters);
            self.ends.shrink_to(characters + 1);
            self.nodes.shrink_to(nodes);
            self.found.shrink_to(characters);
        }
    }

    fn prepare(&mut self, lexicon: &Lexicon, text: &str) {
        self.characters.clear();
        self.offsets.clear();
        for (offset, character) in text.char_indices() {
            self.characters.push(lexicon.character(character));
            self.offsets.push(offset as u32);
        }
        lexicon.find(&self.characters, &mut self.found);
        self.nodes.clear();
        self.ends.clear();
        self.ends.resize(self.characters.len() + 1, NONE);
        let (lefts, rights) = lexicon.ids();
        self.best.resize(lefts, Marked::default());
        self.places.resize(rights, Marked::default());
    }

    /// Notes what ends at a place.
    fn arrive(&mut self, at: usize) {
        self.now += 1;
        self.lefts.clear();
        let mut number = self.ends[at];
        while number != NONE {
            let node = &self.nodes[number as usize];
            let rank = rank(node.cost, number);
            let place = &mut self.places[usize::from(node.right)];
            if place.at == self.now {
                let left = &mut self.lefts[place.value];
                left.rank = left.rank.min(rank);
            } else {
                *place = Marked { at: self.now, value: self.lefts.len() };
                self.lefts.push(Left { rank, right: node.right });
            }
            number = node.sibling;
        }
    }

    /// The best way to the place at hand for a word with this left id, the connection to it included.
    #[inline]
    fn best(&mut self, lexicon: &Lexicon, left: u16) -> Rank {
        let best = &mut self.best[usize::from(left)];
        if best.at != self.now {
            let costs = lexicon.costs(left);
            let connected =
                |left: &Left| left.rank + (i64::from(costs[usize::from(left.right)]) << 32);
            let least = self.lefts.iter().map(connected).min();
            *best =
                Marked { at: self.now, value: least.expect("a word ends at the place at hand") };
        }
        best.value
    }

    /// Adds a word from the place at hand to `end`, for each entry.
    #[inline]
    fn add(&mut self, lexicon: &Lexicon, start: usize, end: usize, entries: &[Entry]) {
        for entry in entries {
            let best = self.best(lexicon, entry.left);
            let cost = ((best >> 32) as i32).saturating_add(i32::from(entry.cost)).min(DEAREST);
            self.push(cost, entry.right, start, end, best as u32);
        }
    }

    #[inline]
    fn push(&mut self, cost: i32, right: u16, start: usize, end: usize, previous: u32) {
        let number = self.nodes.len() as u32;
        let sibling = std::mem::replace(&mut self.ends[end], number);
        self.nodes.push(Node { cost, right, start: start as u32, previous, sibling });
    }

    /// Adds words that the dictionary does not have, by the categories of their characters.
    fn add_unknown(&mut self, lexicon: &Lexicon, at: usize, found: bool) {
        for (place, &number) in lexicon.class(self.characters[at].class()).iter().enumerate() {
            let category = lexicon.category(number);
            if found && !category.invoked {
                continue;
            }
            // No more of them matter.
            let most = category.length.max(LONGEST_GROUP + 1);
            let is_of = |character: &&Character| {
                lexicon.class(character.class()).get(place) == Some(&number)
            };
            let run = self.characters[at..].iter().take(most).take_while(is_of).count();
            let group = if category.grouped && run <= LONGEST_GROUP { run } else { 1 };
            self.add(lexicon, at, at + group, &category.entries);
            for length in (1..=run.min(category.length)).filter(|&length| length != group) {
                self.add(lexicon, at, at + length, &category.entries);
            }
        }
    }
}
