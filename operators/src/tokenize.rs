//! Cuts the text of each document into words.
//!
//! Out of each batch of documents comes one batch of [`Words`], at the same time and with the same
//! route: for each document its words as keys, and each distinct word once, in order of first
//! appearance. The words, joined, are the text; line ends and blanks are words. Cutting takes long, and
//! meanwhile the worker's other stages wait, and other workers for them: so one batch at a time is cut,
//! and of a long text a stretch. Nothing is rejected: any text has words, and an empty one has none.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use hashbrown::HashMap;
use rustc_hash::FxHashMap;
use timely::{
    container::DrainContainer,
    dataflow::{channels::pact::Pipeline, operators::generic::Operator},
};

use crate::{
    Batches,
    analyzer::{Analyzer, Dictionary, Word},
    batch::{Batch, Builder},
    record::{Document, Tokens, Words},
};

/// Extension trait for streams of documents.
pub trait Tokenize<'scope> {
    /// Cuts each document into words by `dictionary`.
    ///
    /// ```no_run
    /// # use operators::{Batches, analyzer::Dictionary, record::{Document, Words}};
    /// use operators::tokenize::Tokenize;
    ///
    /// # fn graph<'scope>(documents: Batches<'scope, Document>) -> Result<Batches<'scope, Words>, Box<dyn std::error::Error>> {
    /// let dictionary = Dictionary::open(&Dictionary::locate())?;
    /// let words = documents.tokenize(&dictionary);
    /// # Ok(words)
    /// # }
    /// ```
    fn tokenize(self, dictionary: &Arc<Dictionary>) -> Batches<'scope, Words>;
}

impl<'scope> Tokenize<'scope> for Batches<'scope, Document> {
    fn tokenize(self, dictionary: &Arc<Dictionary>) -> Batches<'scope, Words> {
        let (scope, mut tokenizer) = (self.scope(), Tokenizer::new(Arc::clone(dictionary)));
        self.unary::<Builder<Words>, _, _, _>(Pipeline, "Tokenize", move |_, info| {
            let again = scope.activator_for(info.address);
            // An epoch that closes lets go of many batches at once: here they have their turn.
            let mut waiting = VecDeque::new();
            move |input, output| {
                let port = output.output_index();
                input.for_each(|capability, documents| {
                    let Some(epoch) = capability.retain_least(port) else { return };
                    waiting.extend(documents.drain().map(|batch| (epoch.clone(), batch)));
                });
                if let Some((epoch, batch)) = waiting.front()
                    && let Some(words) = tokenizer.advance(batch)
                {
                    output.session(epoch).give(words);
                    waiting.pop_front();
                }
                if !waiting.is_empty() {
                    again.activate();
                }
            }
        })
    }
}

/// How much is cut before other stages have their turn, in bytes: some three milliseconds' worth.
const STRETCH: usize = 32 * 1024;

/// The stage's engine: an analyzer and the numbering of a document's words.
pub struct Tokenizer {
    analyzer: Analyzer,
    // Of the batch under way: the documents that are begun.
    begun: Vec<Begun>,
}

impl Tokenizer {
    /// A tokenizer over a dictionary.
    pub fn new(dictionary: Arc<Dictionary>) -> Self {
        Self { analyzer: Analyzer::new(dictionary), begun: Vec::new() }
    }

    /// The words of a batch of documents.
    pub fn tokenize(&mut self, documents: &Batch<Document>) -> Batch<Words> {
        loop {
            if let Some(words) = self.advance(documents) {
                return words;
            }
        }
    }

    /// Cuts one more stretch of a batch of documents, the same one until its words are there.
    pub fn advance(&mut self, documents: &Batch<Document>) -> Option<Batch<Words>> {
        let mut left = STRETCH;
        for (row, document) in documents.iter().enumerate() {
            if row == self.begun.len() {
                self.begun.push(Begun::default());
            }
            let begun = &mut self.begun[row];
            left = left.saturating_sub(begun.advance(document.text, left, &mut self.analyzer));
            if begun.length < document.text.len() {
                return None;
            }
        }
        let texts = documents.iter().map(|document| document.text);
        let words = self.begun.drain(..).zip(texts).map(|(begun, text)| begun.tokens(text));
        Some(Batch::from_rows(
            documents.route,
            Words::of_documents(documents.rows(), words.collect()),
        ))
    }
}

/// A text and its words, as far as it is cut.
#[derive(Default)]
struct Begun {
    // Bytes that are cut.
    length: usize,
    keys: Vec<u32>,
    // Where each distinct word comes first, and its number in the dictionary.
    distinct: Vec<(Range<usize>, Option<u32>)>,
    // The keys of words that the dictionary has, by number, and of others.
    known: FxHashMap<u32, u32>,
    others: HashMap<String, u32>,
}

impl Begun {
    /// Cuts on from where the text is cut to, over so many bytes and a few more; how many those were.
    fn advance(&mut self, text: &str, bytes: usize, analyzer: &mut Analyzer) -> usize {
        let rest = &text[self.length..];
        analyzer.words_of(rest, bytes, |word| self.add(word))
    }

    fn add(&mut self, word: Word<'_>) {
        let next = u32::try_from(self.distinct.len()).expect("fewer words than characters");
        let key = *match word.number {
            Some(number) => self.known.entry(number).or_insert(next),
            None => self.others.entry_ref(word.surface).or_insert(next),
        };
        let end = self.length + word.surface.len();
        if key == next {
            self.distinct.push((self.length..end, word.number));
        }
        self.keys.push(key);
        self.length = end;
    }

    /// The words of the text, which is cut to its end.
    fn tokens(self, text: &str) -> Tokens<'_> {
        let word = |(place, number): (Range<usize>, _)| Word { surface: &text[place], number };
        Tokens { keys: self.keys, distinct: self.distinct.into_iter().map(word).collect() }
    }
}

#[cfg(test)]
mod tests {
    use timely::dataflow::operators::{Capture, ToStream, capture::Event};

    use super::*;
    use crate::{
        analyzer::LONGEST,
        record::{DocumentRow, Entry},
    };

    fn dictionary() -> Arc<Dictionary> {
        Dictionary::open(&Dictionary::locate()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The words of a text, cut at once.
    fn tokens<'t>(tokenizer: &mut Tokenizer, text: &'t str) -> Tokens<'t> {
        let mut begun = Begun::default();
        begun.advance(text, text.len(), &mut tokenizer.analyzer);
        begun.tokens(text)
    }

    fn document(sequence: u64, text: &str) -> DocumentRow<'_> {
        DocumentRow {
            entry: Entry { sequence, id: format!("d/{sequence}"), ..Entry::default() },
            content: [sequence as u8; 32],
            fingerprint: u128::from(sequence) << 100,
            characters: text.chars().count() as u64,
            text,
        }
    }

    #[test]
    fn a_word_has_one_key_and_keys_count_up_as_words_appear() {
        let mut tokenizer = Tokenizer::new(dictionary());
        let first = tokens(&mut tokenizer, "雨、雨。\n雨");
        let surfaces: Vec<_> = first.distinct.iter().map(|word| word.surface).collect();
        assert_eq!(surfaces, ["雨", "、", "。", "\n"]);
        assert_eq!(first.keys, [0, 1, 0, 2, 3, 0]);
        assert_eq!(tokens(&mut tokenizer, ""), Tokens::default());
        // The second document starts from zero again.
        assert_eq!(tokens(&mut tokenizer, "。雨").keys, [0, 1]);
    }

    /// Lines of several stretches and a last one without an end; and one line of several pieces.
    fn long_texts() -> [String; 2] {
        let line = |n: usize| format!("雨が{n}日降り、川は{}。", ["静かだ", "深い", "Ｑ"][n % 3]);
        let lines = (0..STRETCH / 10).map(|n| line(n) + "\n").collect::<String>() + "川";
        [lines, (0..2 * LONGEST / 10).map(line).collect()]
    }

    #[test]
    fn a_text_that_is_cut_in_stretches_has_the_words_that_it_has_at_once() {
        let mut tokenizer = Tokenizer::new(dictionary());
        for long in &long_texts() {
            let batch = Batch::of(0, [document(0, "雨。"), document(1, long), document(2, "")]);
            let mut stretches = 1;
            let words = loop {
                match tokenizer.advance(&batch) {
                    None => stretches += 1,
                    Some(words) => break words,
                }
            };
            assert!(stretches >= 3, "{stretches}");
            for (row, text) in words.iter().zip(["雨。", long, ""]) {
                let whole = tokens(&mut tokenizer, text);
                assert_eq!(row.keys, whole.keys);
                assert!(row.distinct().eq(whole.distinct));
            }
            // The next batch begins anew.
            let next = Batch::of(0, [document(3, "雨")]);
            assert_eq!(tokenizer.tokenize(&next).iter().next().unwrap().keys, [0]);
        }
    }

    #[test]
    fn a_long_text_comes_out_whole_and_what_waits_behind_it_after_it() {
        let [long, _] = long_texts();
        let dictionary = dictionary();
        let texts = [long.clone(), "雨。".to_owned(), long];
        let expected: Vec<_> = texts.iter().map(String::len).collect();
        let captured = timely::example(move |scope| {
            let batches = texts.iter().map(|text| Batch::of(0, [document(0, text)]));
            batches.collect::<Vec<_>>().to_stream(scope).tokenize(&dictionary).capture()
        });
        let mut lengths = Vec::new();
        for event in captured {
            if let Event::Messages(_, mut container) = event {
                for batch in container.drain() {
                    let row = batch.iter().next().expect("a document a batch");
                    let length = |&key: &u32| row.surfaces.value(key as usize).len();
                    lengths.push(row.keys.iter().map(length).sum::<usize>());
                }
            }
        }
        assert_eq!(lengths, expected);
    }

    #[test]
    fn batches_keep_their_time_their_route_and_what_their_documents_came_from() {
        let texts = ["雨が降る。\n", "", "　雪　が降る。\n"];
        let dictionary = dictionary();
        let knows = Arc::clone(&dictionary);
        let captured = timely::example(move |scope| {
            let batch = Batch::of(7, (0..).zip(texts).map(|(n, text)| document(n, text)));
            std::iter::once(batch).to_stream(scope).tokenize(&dictionary).capture()
        });
        let mut batches = Vec::new();
        for event in captured {
            if let Event::Messages(stamp, mut container) = event {
                batches.extend(container.drain().map(|batch| (stamp.least().copied(), batch)));
            }
        }
        let [(Some(0), batch)] = &batches[..] else { panic!("one batch: {batches:?}") };
        assert_eq!(batch.route, 7);
        let rows: Vec<_> = batch.iter().collect();
        assert_eq!(rows.len(), texts.len());
        for ((row, text), sequence) in rows.iter().zip(texts).zip(0..) {
            let joined: String =
                row.keys.iter().map(|&key| row.surfaces.value(key as usize)).collect();
            assert_eq!(joined, text);
            let before = document(sequence, text);
            assert_eq!((&row.entry, row.content), (&before.entry, before.content));
            assert_eq!((row.fingerprint, row.characters), (before.fingerprint, before.characters));
            assert!(row.vectors.is_none());
            let again = tokens(&mut Tokenizer::new(Arc::clone(&knows)), text).distinct;
            assert!(row.distinct().eq(again));
        }
    }
}
