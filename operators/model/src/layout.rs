//! How a chunk of words is laid out for training: pure numbers, no tensors.
//!
//! The chunk's `n` words are `n` targets, each predicted exactly once, from the word before it. They
//! are cut into `batch` lanes of consecutive words, as equal as can be, and the lanes into windows
//! of at most `sequence` columns, as equal as can be (a last window of one column would otherwise
//! be a whole step learnt from `batch` targets).
//!
//! Lanes differ by one word at most. The shorter ones come first and are padded **in front**: there
//! they read the word before their first input once more, without a target. So every lane ends
//! exactly where the next begins, and the last lane where the chunk ends: the hidden states at the
//! end are the ones to carry on, none has read padding.

use std::ops::Range;

/// The target of a place that has none. libtorch's customary value.
pub const IGNORED: i64 = -100;

/// A chunk, laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How many lanes there are.
    pub lanes: usize,
    /// How many columns each lane has.
    pub columns: usize,
    /// The words read, `[columns, lanes]`.
    pub inputs: Vec<i64>,
    /// The words to predict, `[columns, lanes]`, or [`IGNORED`].
    pub targets: Vec<i64>,
    /// The windows, in order.
    pub windows: Vec<Window>,
}

/// Consecutive columns: what one step trains on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which columns.
    pub columns: Range<usize>,
    /// How many places in them have a target.
    pub targets: usize,
}

/// Lays out `words`, which follow the word `previous`.
pub fn lay_out(words: &[u32], previous: u32, batch: usize, sequence: usize) -> Layout {
    let columns = words.len().div_ceil(batch);
    let mut inputs = vec![0; columns * batch];
    let mut targets = vec![IGNORED; columns * batch];
    // What is read to predict the word at `place`, which may lie before the chunk.
    let before = |place: isize| match usize::try_from(place - 1) {
        Ok(index) => i64::from(words[index]),
        Err(_) => i64::from(previous),
    };
    let mut padding = 0;
    for lane in 0..batch {
        let start = words.len() * lane / batch;
        let end = words.len() * (lane + 1) / batch;
        let padded = columns - (end - start);
        padding += padded;
        for column in 0..columns {
            let place = (start + column) as isize - padded as isize;
            inputs[column * batch + lane] = before(place);
            if column >= padded {
                targets[column * batch + lane] = i64::from(words[place as usize]);
            }
        }
    }
    let count = columns.div_ceil(sequence);
    let mut windows: Vec<Window> = (0..count)
        .map(|window| columns * window / count..columns * (window + 1) / count)
        .map(|columns| Window { targets: columns.len() * batch, columns })
        .collect();
    if let Some(first) = windows.first_mut() {
        first.targets -= padding; // all of it is in column 0
    }
    Layout { lanes: batch, columns, inputs, targets, windows }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn seven_words_in_three_lanes() {
        let layout = lay_out(&[1, 2, 3, 4, 5, 6, 7], 9, 3, 2);
        // Lanes hold words 1 2 | 3 4 | 5 6 7; the first two read one word twice, untargeted.
        assert_eq!(layout.inputs, [9, 1, 4, 9, 2, 5, 1, 3, 6]);
        assert_eq!(layout.targets, [IGNORED, IGNORED, 5, 1, 3, 6, 2, 4, 7]);
        let windows: Vec<_> =
            layout.windows.iter().map(|w| (w.columns.clone(), w.targets)).collect();
        assert_eq!(windows, [(0..1, 1), (1..3, 6)]);
    }

    proptest! {
        #[test]
        fn every_word_is_predicted_once_from_the_word_before_it(
            n in 0usize..300, batch in 1usize..40, sequence in 1usize..50
        ) {
            // Distinct words, so that a target names its place.
            let words: Vec<u32> = (1..=n as u32).collect();
            let layout = lay_out(&words, 0, batch, sequence);
            let mut seen = vec![0; n];
            for (input, target) in layout.inputs.iter().zip(&layout.targets) {
                if *target != IGNORED {
                    seen[*target as usize - 1] += 1;
                    prop_assert_eq!(*input, target - 1);
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
        }

        #[test]
        fn every_lane_ends_with_a_target_and_the_last_with_the_last_word(
            n in 1usize..300, batch in 1usize..40, sequence in 1usize..50
        ) {
            let words: Vec<u32> = (1..=n as u32).collect();
            let layout = lay_out(&words, 0, batch, sequence);
            let last = &layout.targets[(layout.columns - 1) * batch..];
            prop_assert_eq!(last[batch - 1], n as i64);
            for lane in 1..batch {
                // The next lane's first target follows this lane's last.
                let first = (0..layout.columns)
                    .map(|column| layout.targets[column * batch + lane])
                    .find(|&target| target != IGNORED);
                if let (Some(first), true) = (first, last[lane - 1] != IGNORED) {
                    prop_assert_eq!(first, last[lane - 1] + 1);
                }
            }
        }

        #[test]
        fn windows_tile_the_columns_and_count_their_targets(
            n in 0usize..300, batch in 1usize..40, sequence in 1usize..50
        ) {
            let layout = lay_out(&vec![7; n], 0, batch, sequence);
            let mut column = 0;
            for window in &layout.windows {
                prop_assert_eq!(window.columns.start, column);
                column = window.columns.end;
                prop_assert!((1..=sequence).contains(&window.columns.len()));
                let places = window.columns.start * batch..window.columns.end * batch;
                let real = layout.targets[places].iter().filter(|&&t| t != IGNORED).count();
                prop_assert_eq!(window.targets, real);
                prop_assert!(real > 0, "a step without a target divides by zero");
            }
            prop_assert_eq!(column, layout.columns);
            prop_assert_eq!(layout.windows.len(), layout.columns.div_ceil(sequence));
        }
    }
}
