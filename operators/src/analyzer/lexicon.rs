//! The dictionary as the lattice reads it: laid out so that each step of a search touches one place.
//!
//! Made from what lindera compiled, once, when the dictionary is opened. Nothing is decided anew:
//! over this, [`super::lattice`] finds the path that lindera's own lattice finds over the same
//! files. What can never be on that path is left out: of a word's entries that connect alike, all
//! but the cheapest.

mod files;

use lindera::dictionary::Dictionary as System;

/// One way to read a word: what it costs, and how it connects to what is left and right of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub cost: i16,
    pub left: u16,
    pub right: u16,
}

/// Which characters an unknown word may be made of, and when one is considered.
pub(super) struct Category {
    /// Whether it is considered where the dictionary has a word, too.
    pub invoked: bool,
    /// Whether a whole run of such characters may be one word.
    pub grouped: bool,
    /// Up to how many of them may be one word besides.
    pub length: usize,
    pub entries: Vec<Entry>,
}

/// A character: its code in the trie, and its class.
#[derive(Clone, Copy)]
pub(super) struct Character(u32);

impl Character {
    /// The code of characters that no word has.
    const UNMAPPED: u32 = (1 << 24) - 1;

    fn new(code: Option<u32>, class: usize) -> Option<Self> {
        let code = code.filter(|&code| code != NO_CODE && code != END).unwrap_or(Self::UNMAPPED);
        (code <= Self::UNMAPPED && class < 256).then_some(Self(code << 8 | class as u32))
    }

    pub fn class(self) -> usize {
        (self.0 & 0xff) as usize
    }

    /// Whether it is the ideographic space.
    pub fn is_space(self) -> bool {
        self.class() == SPACE_CLASS
    }

    fn code(self) -> u32 {
        self.0 >> 8
    }
}

/// A node of the trie, with what its word has: a double array, as crawdad builds it.
#[derive(Clone, Copy, Default)]
struct Node {
    // With a character's code, where the node's child for it lies; `LEAF` if it has no children.
    base: u32,
    // The node that this one is a child of.
    parent: u32,
    word: Entries,
}

// Four lie in a line of the cache.
const _: () = assert!(size_of::<Node>() == 16);

/// The entries of the word that ends at a node, if one does. Most words have one, and that lies in the
/// node itself: where it would lie apart, memory would have to be waited for once more.
#[derive(Clone, Copy, Default)]
enum Entries {
    #[default]
    None,
    One(Entry),
    /// Where they are, and how many.
    Several(u32, u16),
}

/// The words that begin at each place of a text, and the scratch to find them.
#[derive(Default)]
pub(super) struct Found {
    words: Vec<Candidate>,
    // By place: the longest word that begins there.
    last: Vec<u32>,
    // The places whose words may have further characters.
    walks: Vec<Walk>,
}

/// A word of the lexicon at a place of the text, which the text may have there.
pub(super) struct Candidate {
    pub length: u32,
    // The node that it ends at, which no other word does.
    node: u32,
    entries: Entries,
    // The next shorter one.
    before: u32,
}

/// How far into the trie a place has come: the node, and its base.
#[derive(Clone, Copy)]
struct Walk {
    place: u32,
    at: u32,
    base: u32,
}

impl Found {
    /// The longest word at a place; what [`Self::shorter`] follows from.
    pub fn longest(&self, place: usize) -> Option<&Candidate> {
        self.words.get(self.last[place] as usize)
    }

    /// The next shorter word at the place of `word`.
    pub fn shorter(&self, word: &Candidate) -> Option<&Candidate> {
        self.words.get(word.before as usize)
    }

    /// The number of the word of this length at a place, if it is one.
    pub fn number(&self, place: usize, length: u32) -> Option<u32> {
        let mut word = self.longest(place)?;
        while word.length > length {
            word = self.shorter(word)?;
        }
        (word.length == length).then_some(word.node)
    }

    /// Lets go of memory beyond what a text of `characters` needs.
    pub fn shrink_to(&mut self, characters: usize) {
        self.words.clear();
        self.words.shrink_to(8 * characters);
        self.last.clear();
        self.last.shrink_to(characters);
        self.walks.clear();
        self.walks.shrink_to(characters);
    }
}

/// No word.
const NONE: u32 = u32::MAX;
const LEAF: u32 = 1 << 31;
const OFFSET: u32 = LEAF - 1;
/// What the compiler writes for a character that no word has.
const NO_CODE: u32 = u32::MAX;
/// The code that ends a word in the trie. No character of a text has it.
const END: u32 = 0;
/// Characters that are looked up in a table.
const PLANE: usize = 0x10000;
/// The class of the ideographic space alone.
const SPACE_CLASS: usize = 0;
const IDEOGRAPHIC_SPACE: char = '\u{3000}';
/// IPADIC's word for the ideographic space, which lindera's compiler trims away to nothing.
pub(super) const SPACE: [Entry; 1] = [Entry { cost: 1287, left: 9, right: 9 }];

/// The dictionary. Read-only: one serves all workers.
pub(super) struct Lexicon {
    characters: Vec<Character>,
    // The codes of characters beyond that table.
    beyond: Vec<u32>,
    nodes: Vec<Node>,
    entries: Vec<Entry>,
    // By class: the categories of its characters, in the order in which they are tried.
    classes: Vec<Vec<usize>>,
    categories: Vec<Category>,
    // By left id, then by right id: what it costs that a word with that left id follows.
    connections: Vec<i16>,
    width: usize,
    system: System,
}

impl Lexicon {
    /// Lays out what `system` has. `trie` and `firsts` are the files of its trie and of where each
    /// key's entries begin; `None` if they are not what lindera 6 writes.
    pub fn new(system: System, trie: &[u8], firsts: &[u8]) -> Option<Self> {
        let (codes, trie) = files::numbers(trie)?;
        let (_alphabet_size, trie) = trie.split_at_checked(4)?;
        let (length, trie) = trie.split_first_chunk()?;
        let (raw, []) = trie.as_chunks::<8>() else { return None };
        if raw.len() != u32::from_le_bytes(*length) as usize || raw.is_empty() {
            return None;
        }
        let (words, entries) = files::words(firsts, &system.prefix_dictionary.vals_data)?;
        let mut nodes = files::nodes(raw, &words, &entries)?;
        nodes.shrink_to_fit(); // how many there will be is not known while they are collected

        let mut classes = vec![categories_of(&system, IDEOGRAPHIC_SPACE)];
        let mut characters = Vec::with_capacity(PLANE);
        for point in 0..PLANE {
            // Surrogates are no characters; what stands for them is never read.
            let character = char::from_u32(point as u32).unwrap_or_default();
            let class = match character {
                IDEOGRAPHIC_SPACE => SPACE_CLASS,
                _ => {
                    let categories = categories_of(&system, character);
                    class(&classes, &categories).unwrap_or_else(|| {
                        classes.push(categories);
                        classes.len() - 1
                    })
                }
            };
            characters.push(Character::new(codes.get(point).copied(), class)?);
        }
        let connections = &system.connection_cost_matrix;
        let (width, connections) =
            (connections.forward_size as usize, connections.costs().to_vec());
        let lexicon = Self {
            categories: categories(&system),
            beyond: codes.get(PLANE..).unwrap_or_default().to_vec(),
            characters,
            nodes,
            entries,
            classes,
            connections,
            width,
            system,
        };
        lexicon.is_sound().then_some(lexicon)
    }

    /// Whether every entry connects by ids that there are.
    fn is_sound(&self) -> bool {
        let (lefts, rights) = self.ids();
        let unknown = self.categories.iter().flat_map(|category| &category.entries);
        self.entries
            .iter()
            .chain(unknown)
            .chain(&SPACE)
            .all(|entry| usize::from(entry.left) < lefts && usize::from(entry.right) < rights)
    }

    pub fn character(&self, character: char) -> Character {
        let point = character as usize;
        match self.characters.get(point) {
            Some(&known) => known,
            None => {
                let class = class(&self.classes, &categories_of(&self.system, character));
                // IPADIC gives no character beyond the table a class that none in it has.
                Character::new(self.beyond.get(point - PLANE).copied(), class.unwrap_or(1))
                    .expect("codes count characters, of which there are fewer than that")
            }
        }
    }

    /// Finds the words that begin at each place of `text`.
    ///
    /// All places are gone through at once, a character deeper each time: where a node lies cannot
    /// be foretold, so most of the time goes by waiting for memory, and so for many nodes together.
    pub fn find(&self, text: &[Character], found: &mut Found) {
        let Found { words, last, walks } = found;
        words.clear();
        last.clear();
        last.resize(text.len(), NONE);
        walks.clear();
        let base = self.nodes[0].base;
        walks.extend((0..text.len() as u32).map(|place| Walk { place, at: 0, base }));
        for length in 1.. {
            // Those that go on are moved to the front.
            let mut going = 0;
            for number in 0..walks.len() {
                let Walk { place, at, base } = walks[number];
                let Some(character) = text.get(place as usize + length - 1) else { continue };
                let child = base ^ character.code();
                let Some(node) = self.nodes.get(child as usize) else { continue };
                if node.parent != at {
                    continue;
                }
                if !matches!(node.word, Entries::None) {
                    let longer = words.len() as u32;
                    let before = std::mem::replace(&mut last[place as usize], longer);
                    let length = length as u32;
                    words.push(Candidate { length, node: child, entries: node.word, before });
                }
                if node.base & LEAF == 0 {
                    walks[going] = Walk { place, at: child, base: node.base };
                    going += 1;
                }
            }
            walks.truncate(going);
            if walks.is_empty() {
                return;
            }
        }
    }

    /// The ways to read `word`.
    pub fn entries<'w>(&'w self, word: &'w Candidate) -> &'w [Entry] {
        match &word.entries {
            Entries::None => &[],
            Entries::One(entry) => std::slice::from_ref(entry),
            Entries::Several(first, count) => {
                &self.entries[*first as usize..*first as usize + usize::from(*count)]
            }
        }
    }

    /// The categories of a class, by number.
    pub fn class(&self, class: usize) -> &[usize] {
        &self.classes[class]
    }

    pub fn category(&self, number: usize) -> &Category {
        &self.categories[number]
    }

    /// By right id, what it costs that a word with the left id `left` follows.
    #[inline]
    pub fn costs(&self, left: u16) -> &[i16] {
        let start = usize::from(left) * self.width;
        &self.connections[start..start + self.width]
    }

    /// How many ids there are, left and right.
    pub fn ids(&self) -> (usize, usize) {
        (self.connections.len() / self.width.max(1), self.width)
    }
}

/// The class of characters that have these categories; that of the ideographic space is its own.
fn class(classes: &[Vec<usize>], categories: &[usize]) -> Option<usize> {
    let others = classes.iter().enumerate().skip(SPACE_CLASS + 1);
    others.filter(|(_, class)| *class == categories).map(|(number, _)| number).next()
}

fn categories_of(system: &System, character: char) -> Vec<usize> {
    let categories = system.character_definition.lookup_categories(character);
    categories.iter().map(|category| category.0).collect()
}

fn categories(system: &System) -> Vec<Category> {
    let unknown = &system.unknown_dictionary;
    let definitions = system.character_definition.category_definitions.iter();
    definitions
        .zip(&unknown.category_references)
        .map(|(definition, references)| Category {
            invoked: definition.invoke,
            grouped: definition.group,
            length: definition.length as usize,
            entries: references
                .iter()
                .map(|&number| {
                    let entry = unknown.word_entry(number);
                    let (left, right) = (entry.left_id() as u16, entry.right_id() as u16);
                    Entry { cost: entry.word_cost(), left, right }
                })
                .collect(),
        })
        .collect()
}
