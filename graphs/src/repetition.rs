//! How much a text repeats itself, and how readily a model would.
//!
//! The original study's model wrote the same two words over and over. These are the measures by
//! which that shows, each beside the value that text written by people has.

use std::{collections::HashMap, hash::Hash};

use model::{Network, Sampler};
use operators::{
    batch::Batch,
    record::Words,
    vocabulary::{DOCUMENT, Vocabulary},
};
use serde::Serialize;

/// How a sequence of words repeats itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Repetition {
    /// Words in it.
    pub words: usize,
    /// Share of the sequences of four words that have come before (Welleck et al. 2020).
    pub rep_4: f64,
    /// Distinct pairs of words over pairs (Li et al. 2016).
    pub distinct_2: f64,
    /// Words in the longest stretch that is a cycle repeated at once, two full rounds at least.
    pub longest_loop: usize,
    /// Words in that cycle.
    pub loop_cycle: usize,
    /// Share of the commonest word.
    pub commonest_share: f64,
    /// Slope of ln frequency over ln rank by least squares: near -1 in what people write (Zipf 1949).
    pub zipf_slope: f64,
}

/// Cycles of more words than this are not looked for: [`Repetition::rep_4`] tells of those.
const LONGEST_CYCLE: usize = 512;

impl Repetition {
    /// Measures a sequence.
    pub fn of<W: Copy + Eq + Hash>(words: &[W]) -> Self {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let mut frequencies: Vec<usize> = counted(words.iter()).into_values().collect();
        frequencies.sort_unstable_by(|one, other| other.cmp(one));
        let fours = words.windows(4).count();
        let (longest_loop, loop_cycle) = longest_loop(words);
        Self {
            words: words.len(),
            rep_4: share(fours - counted(words.windows(4)).len(), fours),
            distinct_2: share(counted(words.windows(2)).len(), words.windows(2).count()),
            longest_loop,
            loop_cycle,
            commonest_share: share(frequencies.first().copied().unwrap_or(0), words.len()),
            zipf_slope: slope(&frequencies),
        }
    }

    /// Whether this is a text that has got stuck: 20 words or more that are three rounds of a cycle
    /// or more, or half of all sequences of four come again. (Rows of dashes and refrains are
    /// shorter, and in what people write one in twenty comes again.)
    pub fn loops(&self) -> bool {
        let cycles = self.longest_loop >= 20 && self.longest_loop >= 3 * self.loop_cycle;
        cycles || (self.words >= 50 && self.rep_4 >= 0.5)
    }
}

fn counted<T: Eq + Hash>(items: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    items.for_each(|item| *counts.entry(item).or_insert(0) += 1);
    counts
}

/// The words of the longest stretch that repeats a cycle at once, and of the cycle; of equal
/// stretches the one with the shorter cycle.
fn longest_loop<W: Eq>(words: &[W]) -> (usize, usize) {
    let mut longest = (0, 0);
    for cycle in 1..=LONGEST_CYCLE.min(words.len() / 2) {
        let mut run = 0;
        for (word, before) in words[cycle..].iter().zip(words) {
            run = if word == before { run + 1 } else { 0 };
            if run >= cycle && run + cycle > longest.0 {
                longest = (run + cycle, cycle);
            }
        }
    }
    longest
}

/// Slope of the least-squares line through (ln rank, ln frequency); 0 for fewer than two words.
fn slope(frequencies: &[usize]) -> f64 {
    let points = || {
        let ranked = frequencies.iter().zip(1u32..);
        ranked.map(|(&frequency, rank)| (f64::from(rank).ln(), (frequency as f64).ln()))
    };
    let count = frequencies.len() as f64;
    let mean = |sum: f64| sum / count.max(1.0);
    let (x, y) = (mean(points().map(|(x, _)| x).sum()), mean(points().map(|(_, y)| y).sum()));
    let spread: f64 = points().map(|(a, _)| (a - x).powi(2)).sum();
    let together: f64 = points().map(|(a, b)| (a - x) * (b - y)).sum();
    if spread > 0.0 { together / spread } else { 0.0 }
}

/// Mean probability of a sentence's words after so many copies of it (Xu et al. 2022): where it
/// rises towards 1 a model that has once repeated a sentence will go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Copies {
    /// At first sight, as people wrote it.
    pub none: f64,
    /// After one copy.
    pub one: f64,
    /// After two.
    pub two: f64,
    /// After four.
    pub four: f64,
    /// Sentences that this is the mean of, each counted alike.
    pub sentences: usize,
}

/// A model's repetitions beside those of the text that it is scored on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Gauge {
    /// Of a passage that the model wrote at temperature 1, without any filter.
    pub passage: Repetition,
    /// Of as many words of the held-out text.
    pub human: Repetition,
    /// Of sentences of the held-out text.
    pub sentence: Copies,
}

/// Sentences that are repeated to the model, at most.
const SENTENCES: usize = 8;
/// Ids that such a sentence has.
const SENTENCE: std::ops::RangeInclusive<usize> = 6..=30;
/// How often it is read: first, and after four copies.
const READ: usize = 5;

/// Has the model write `words` words and compares them with as many of `documents`. A function of
/// the weights and documents: what it draws comes from a seed of its own, and nothing is changed.
///
/// # Errors
/// If libtorch fails.
pub fn gauge(
    network: &Network,
    vocabulary: &Vocabulary,
    documents: &[Batch<Words>],
    words: usize,
) -> Result<Gauge, model::Error> {
    let rows = network.rows() as u32;
    let mut human = Vec::new();
    for document in documents.iter().flat_map(Batch::iter) {
        human
            .extend(vocabulary.encode(document.keys, document.surfaces.iter().flatten(), rows).ids);
        human.push(DOCUMENT);
    }
    let sampler = Sampler { seed: 1, ..Sampler::default() };
    let written = sampler.generate(network, &[], words, &[])?.collect::<Result<Vec<u32>, _>>()?;
    let stop = vocabulary.id("。");
    let is_end = |id: &u32| *id == DOCUMENT || Some(*id) == stop;
    let fitting = human.split_inclusive(is_end).filter(|ids| SENTENCE.contains(&ids.len()));
    let sentences: Vec<&[u32]> = fitting.take(SENTENCES).collect();
    Ok(Gauge {
        passage: Repetition::of(&written),
        human: Repetition::of(&human[..words.min(human.len())]),
        sentence: copies(network, &sentences)?,
    })
}

fn copies(network: &Network, sentences: &[&[u32]]) -> Result<Copies, model::Error> {
    let mut sums = [0.0; READ];
    for sentence in sentences {
        let told = network.log_probabilities(&sentence.repeat(READ))?;
        for (sum, copy) in sums.iter_mut().zip(told.chunks(sentence.len())) {
            *sum += copy.iter().map(|&told| f64::from(told).exp()).sum::<f64>() / copy.len() as f64;
        }
    }
    let [none, one, two, _, four] = sums.map(|sum| sum / sentences.len().max(1) as f64);
    Ok(Copies { none, one, two, four, sentences: sentences.len() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_measures_follow_their_formulas() {
        // a b c d | a b c d | a b: 7 sequences of four, 4 distinct; 9 pairs, 4 distinct.
        let found = Repetition::of(b"abcdabcdab");
        assert_eq!(found.rep_4, 3.0 / 7.0);
        assert_eq!(found.distinct_2, 4.0 / 9.0);
        assert_eq!((found.longest_loop, found.loop_cycle), (10, 4));
        assert_eq!(found.commonest_share, 0.3);
        // 8, 4, 2 and 1 of a kind at ranks 1, 2, 4 would be -1; frequencies 12, 6, 4, 3 are 12 / rank.
        let zipf: Vec<u32> = [(1, 12), (2, 6), (3, 4), (4, 3)]
            .into_iter()
            .flat_map(|(word, times)| vec![word; times])
            .collect();
        assert!((Repetition::of(&zipf).zipf_slope + 1.0).abs() < 1e-9);
        assert_eq!(Repetition::of(&[0u32; 0]), Repetition::default());
    }

    #[test]
    fn the_original_studys_passage_loops_and_a_sentence_does_not() {
        let stuck = ["自分", "は", "人間", "の"].repeat(30);
        assert!(Repetition::of(&stuck).loops());
        let prose: Vec<char> = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\
                                何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
            .chars()
            .collect();
        assert!(!Repetition::of(&prose).loops(), "{:?}", Repetition::of(&prose));
        assert!(!Repetition::of(&['―'; 12]).loops(), "a row of dashes");
    }

    proptest! {
        #[test]
        fn a_cycle_is_found_wherever_it_stands(cycle in 1usize..20, rounds in 3usize..6,
                                               before in 0usize..30, after in 0usize..30) {
            // Words of the cycle are below 100, each of the others comes once.
            let words: Vec<usize> = (100..100 + before)
                .chain((0..rounds).flat_map(|_| 0..cycle))
                .chain(200..200 + after)
                .collect();
            let found = Repetition::of(&words);
            prop_assert_eq!((found.longest_loop, found.loop_cycle), (rounds * cycle, cycle));
            prop_assert_eq!(found.loops(), rounds * cycle >= 20 || found.rep_4 >= 0.5 && words.len() >= 50);
        }
    }
}
