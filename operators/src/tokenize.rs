//! Cuts the text of each document into words.
//!
//! Out of each batch of documents comes one batch of [`Words`], at the same time and with the same
//! route: for each document its words as keys, and each distinct word once, in order of first
//! appearance. The words, joined, are the text; line ends and blanks are words. Batches wait for their
//! turn, one an activation; nothing is rejected: any text has words, and an empty one has none.

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;
use timely::{
    container::DrainContainer,
    dataflow::{channels::pact::Pipeline, operators::generic::Operator},
};

use crate::{
    Batches,
    analyzer::{Analyzer, Dictionary},
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
            // A batch at a time, however many an epoch lets go of when it closes: this is the work that
            // takes long, and meanwhile the worker's other stages wait, and others for them.
            let mut waiting = VecDeque::new();
            move |input, output| {
                let port = output.output_index();
                input.for_each(|capability, documents| {
                    let Some(epoch) = capability.retain_least(port) else { return };
                    waiting.extend(documents.drain().map(|batch| (epoch.clone(), batch)));
                });
                if let Some((epoch, batch)) = waiting.pop_front() {
                    output.session(&epoch).give(tokenizer.tokenize(&batch));
                }
                if !waiting.is_empty() {
                    again.activate();
                }
            }
        })
    }
}

/// The stage's engine: an analyzer and the numbering of a document's words.
pub struct Tokenizer {
    analyzer: Analyzer,
}

impl Tokenizer {
    /// A tokenizer over a dictionary.
    pub fn new(dictionary: Arc<Dictionary>) -> Self {
        Self { analyzer: Analyzer::new(dictionary) }
    }

    /// The words of a batch of documents.
    pub fn tokenize(&mut self, documents: &Batch<Document>) -> Batch<Words> {
        let words = documents.iter().map(|document| self.tokens(document.text)).collect();
        Batch::from_rows(documents.route, Words::of_documents(documents.rows(), words))
    }

    /// The words of a text.
    pub fn tokens<'t>(&mut self, text: &'t str) -> Tokens<'t> {
        let mut tokens = Tokens::default();
        // The keys of words that the dictionary has, by number, and of others, which borrow the text.
        let mut known: FxHashMap<u32, u32> = FxHashMap::default();
        let mut others: FxHashMap<&str, u32> = FxHashMap::default();
        self.analyzer.words(text, |word| {
            let next = u32::try_from(tokens.distinct.len()).expect("fewer words than characters");
            let key = *match word.number {
                Some(number) => known.entry(number).or_insert(next),
                None => others.entry(word.surface).or_insert(next),
            };
            if key == next {
                tokens.distinct.push(word);
            }
            tokens.keys.push(key);
        });
        tokens
    }
}

#[cfg(test)]
mod tests {
    use timely::dataflow::operators::{Capture, ToStream, capture::Event};

    use super::*;
    use crate::record::{DocumentRow, Entry};

    fn dictionary() -> Arc<Dictionary> {
        Dictionary::open(&Dictionary::locate()).unwrap_or_else(|error| panic!("{error}"))
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
        let tokens = tokenizer.tokens("雨、雨。\n雨");
        let surfaces: Vec<_> = tokens.distinct.iter().map(|word| word.surface).collect();
        assert_eq!(surfaces, ["雨", "、", "。", "\n"]);
        assert_eq!(tokens.keys, [0, 1, 0, 2, 3, 0]);
        assert_eq!(tokenizer.tokens(""), Tokens::default());
        // The second document starts from zero again.
        assert_eq!(tokenizer.tokens("。雨").keys, [0, 1]);
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
            let again = Tokenizer::new(Arc::clone(&knows)).tokens(text).distinct;
            assert!(row.distinct().eq(again));
        }
    }
}
