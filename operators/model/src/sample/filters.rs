//! What a sampler does to the probabilities of the next word, each step a plain function.
//!
//! Those before the softmax change log-probabilities ([`penalize`], [`forbid_repeats`]); those after
//! it set probabilities to 0 and scale what stays to sum to 1. The likeliest word of what a filter
//! is given always stays ([`typical`] keeps the most typical one instead); if all are 0, all stay 0.
//! Of equals the one with the smaller index comes first.

use std::cmp::Ordering;

/// Makes words that were read lately less likely (Keskar et al. 2019, CTRL, section 4.1): the logit
/// of each word in `recent` is divided by `penalty` where it is above 0, else multiplied. A softmax
/// leaves the origin of logits open while this formula does not, so they are measured here from the
/// mean over all words that are possible. 1 changes nothing.
pub fn penalize(logits: &mut [f64], recent: &[u32], penalty: f64) {
    let possible = || logits.iter().filter(|logit| logit.is_finite());
    let mean = possible().sum::<f64>() / possible().count().max(1) as f64;
    let mut seen = recent.to_vec();
    seen.sort_unstable();
    seen.dedup();
    if penalty == 1.0 {
        return;
    }
    for word in seen {
        if let Some(logit) = logits.get_mut(word as usize).filter(|logit| logit.is_finite()) {
            let height = *logit - mean;
            *logit = mean + if height > 0.0 { height / penalty } else { height * penalty };
        }
    }
}

/// Makes every word impossible that would complete a sequence of `n` words that `read` has already
/// (Paulus et al. 2018, section 2.5). With `n` 1 no word comes twice.
pub fn forbid_repeats(logits: &mut [f64], read: &[u32], n: usize) {
    let Some(context) = n.checked_sub(1).filter(|&context| read.len() > context) else { return };
    let before = &read[read.len() - context..];
    for sequence in read.windows(n) {
        if sequence[..context] == *before
            && let Some(logit) = logits.get_mut(sequence[context] as usize)
        {
            *logit = f64::NEG_INFINITY;
        }
    }
}

/// The probabilities of logits at a temperature; at 0 the likeliest has it all (the first of equals).
/// Negative infinity gets 0; if all are that, all get 0. Shifted by the largest logit, so that no
/// exponential overflows.
pub fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut probabilities = vec![0.0; logits.len()];
    if largest == f64::NEG_INFINITY {
        return probabilities;
    }
    if temperature == 0.0 {
        if let Some(first) = logits.iter().position(|&logit| logit == largest) {
            probabilities[first] = 1.0;
        }
        return probabilities;
    }
    for (probability, logit) in probabilities.iter_mut().zip(logits) {
        *probability = ((logit - largest) / temperature).exp();
    }
    normalize(&mut probabilities);
    probabilities
}

/// Keeps the `count` likeliest words.
pub fn top_k(probabilities: &mut [f64], count: usize) {
    let order = ordered(probabilities, |probability| -probability);
    keep(probabilities, &order, order.len().min(count));
}

/// Keeps the likeliest words, as few as reach `share` of the whole (Holtzman et al. 2020).
pub fn top_p(probabilities: &mut [f64], share: f64) {
    let order = ordered(probabilities, |probability| -probability);
    let kept = reaching(probabilities, &order, share);
    keep(probabilities, &order, kept);
}

/// Keeps the words whose surprise -ln p is nearest to the expected one (the entropy), as few as
/// reach `share` of the whole (locally typical sampling, Meister et al. 2023, equation 7).
pub fn typical(probabilities: &mut [f64], share: f64) {
    let sum: f64 = probabilities.iter().sum();
    let possible = probabilities.iter().filter(|&&probability| probability > 0.0);
    let entropy: f64 = possible.map(|p| -(p / sum) * (p / sum).ln()).sum();
    let order = ordered(probabilities, |probability| ((probability / sum).ln() + entropy).abs());
    let kept = reaching(probabilities, &order, share);
    keep(probabilities, &order, kept);
}

/// Keeps the words that are at least `share` times as likely as the likeliest (Nguyen et al. 2024).
pub fn min_p(probabilities: &mut [f64], share: f64) {
    let floor = share * probabilities.iter().copied().fold(0.0, f64::max);
    let too_small = probabilities.iter_mut().filter(|probability| **probability < floor);
    too_small.for_each(|probability| *probability = 0.0);
    normalize(probabilities);
}

/// The possible words, those with the smallest `rank` first.
fn ordered(probabilities: &[f64], rank: impl Fn(f64) -> f64) -> Vec<usize> {
    let possible = (0..probabilities.len()).filter(|&word| probabilities[word] > 0.0);
    let mut ranked: Vec<(f64, usize)> =
        possible.map(|word| (rank(probabilities[word]), word)).collect();
    let earlier = |a: &(f64, usize), b: &(f64, usize)| -> Ordering {
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
    };
    ranked.sort_unstable_by(earlier);
    ranked.into_iter().map(|(_, word)| word).collect()
}

/// How many of the first words of `order` reach `share` of what they all have.
fn reaching(probabilities: &[f64], order: &[usize], share: f64) -> usize {
    let mut missing: f64 = share * order.iter().map(|&word| probabilities[word]).sum::<f64>();
    let reached = order.iter().position(|&word| {
        missing -= probabilities[word];
        missing <= 0.0
    });
    reached.map_or(order.len(), |last| last + 1)
}

/// Drops all but the first `kept` words of `order`.
fn keep(probabilities: &mut [f64], order: &[usize], kept: usize) {
    order[kept..].iter().for_each(|&word| probabilities[word] = 0.0);
    normalize(probabilities);
}

fn normalize(probabilities: &mut [f64]) {
    let sum: f64 = probabilities.iter().sum();
    if sum > 0.0 {
        probabilities.iter_mut().for_each(|probability| *probability /= sum);
    }
}

/// The index that `point`, in [0, 1), falls on when probabilities are laid end to end. Never one of
/// probability 0; nothing if all are.
pub fn pick(probabilities: &[f64], point: f64) -> Option<usize> {
    let mut sum = 0.0;
    let mut last = None;
    for (index, &probability) in probabilities.iter().enumerate() {
        if probability > 0.0 {
            sum += probability;
            last = Some(index);
            if point < sum {
                break;
            }
        }
    }
    last // sums may end a little below 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distribution() -> impl Strategy<Value = Vec<f64>> {
        let weight = prop_oneof![1 => Just(0.0), 1 => Just(0.25), 4 => 0.001f64..1.0];
        prop::collection::vec(weight, 1..30).prop_map(|mut weights| {
            weights[0] += 0.001;
            normalize(&mut weights);
            weights
        })
    }

    /// The distribution after each of the filters.
    fn filtered(before: &[f64], k: usize, p: f64) -> [Vec<f64>; 4] {
        let after = |filter: &dyn Fn(&mut [f64])| {
            let mut after = before.to_vec();
            filter(&mut after);
            after
        };
        [
            after(&|x| top_k(x, k)),
            after(&|x| top_p(x, p)),
            after(&|x| min_p(x, p)),
            after(&|x| typical(x, p)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_kept_sums_to_one_in_the_old_proportions(
            before in distribution(), k in 1usize..40, p in 0.01f64..=1.0
        ) {
            for after in filtered(&before, k, p) {
                prop_assert!((after.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                let kept: Vec<usize> = (0..after.len()).filter(|&i| after[i] > 0.0).collect();
                for pair in kept.windows(2) {
                    let (a, b) = (pair[0], pair[1]);
                    prop_assert!((after[a] * before[b] - after[b] * before[a]).abs() < 1e-9);
                }
            }
        }

        #[test]
        fn nothing_that_is_dropped_is_likelier_than_what_is_kept(
            before in distribution(), k in 1usize..40, p in 0.01f64..=1.0
        ) {
            for after in &filtered(&before, k, p)[..3] {
                let chosen = |kept: bool| {
                    let places = (0..after.len()).filter(move |&i| (after[i] > 0.0) == kept);
                    places.map(|i| before[i])
                };
                let least_kept = chosen(true).fold(1.0, f64::min);
                prop_assert!(chosen(false).all(|dropped| dropped <= least_kept));
            }
        }

        #[test]
        fn nothing_that_is_dropped_is_more_typical_than_what_is_kept(
            before in distribution(), p in 0.01f64..=1.0
        ) {
            let mut after = before.clone();
            typical(&mut after, p);
            let surprise = |i: usize| -before[i].ln();
            let possible: Vec<usize> = (0..before.len()).filter(|&i| before[i] > 0.0).collect();
            let entropy: f64 = possible.iter().map(|&i| before[i] * surprise(i)).sum();
            let far = |i: &usize| (surprise(*i) - entropy).abs();
            let (kept, dropped): (Vec<usize>, Vec<usize>) =
                possible.iter().partition(|&&i| after[i] > 0.0);
            let farthest = kept.iter().map(far).fold(0.0, f64::max);
            prop_assert!(dropped.iter().map(far).all(|far| far >= farthest - 1e-9));
            let sum: f64 = kept.iter().map(|&i| before[i]).sum();
            prop_assert!(sum > p - 1e-9, "{sum} kept, {p} wanted");
        }

        #[test]
        fn top_k_keeps_that_many_and_top_p_the_fewest_that_reach_it(
            before in distribution(), k in 1usize..40, p in 0.01f64..0.99
        ) {
            let possible = before.iter().filter(|&&x| x > 0.0).count();
            let [by_count, by_share, ..] = filtered(&before, k, p);
            prop_assert_eq!(by_count.iter().filter(|&&x| x > 0.0).count(), k.min(possible));
            let mut kept: Vec<f64> = (0..before.len())
                .filter(|&i| by_share[i] > 0.0).map(|i| before[i]).collect();
            kept.sort_by(f64::total_cmp);
            let sum: f64 = kept.iter().sum();
            prop_assert!(sum > p - 1e-9, "{} kept, {} wanted", sum, p);
            prop_assert!(sum - kept[0] < p + 1e-9, "one fewer would do");
        }

        #[test]
        fn min_p_keeps_just_those_above_its_share_of_the_largest(
            before in distribution(), p in 0.01f64..0.99
        ) {
            let [_, _, after, _] = filtered(&before, 1, p);
            let largest = before.iter().copied().fold(0.0, f64::max);
            for (before, after) in before.iter().zip(after) {
                prop_assert_eq!(after > 0.0, *before >= p * largest && *before > 0.0);
            }
        }

        #[test]
        fn a_penalty_lowers_what_was_read_and_nothing_else(
            logits in prop::collection::vec(-20f64..20.0, 2..20), penalty in 1.01f64..3.0,
            shift in -50f64..50.0
        ) {
            let mut after = logits.clone();
            penalize(&mut after, &[1, 1, 99], penalty);
            prop_assert!(after[1] <= logits[1] + 1e-12);
            for word in (0..logits.len()).filter(|&word| word != 1) {
                prop_assert_eq!(after[word], logits[word]);
            }
            // Where the origin of the logits lies does not matter.
            let mut shifted: Vec<f64> = logits.iter().map(|logit| logit + shift).collect();
            penalize(&mut shifted, &[1], penalty);
            prop_assert!((shifted[1] - shift - after[1]).abs() < 1e-9);
        }

        #[test]
        fn no_sequence_comes_twice(seed in 0usize..1000, n in 1usize..4) {
            let mut read: Vec<u32> = Vec::new();
            for step in 0..40 {
                let mut logits: Vec<f64> =
                    (0..5).map(|word| ((seed + step * 7 + word * 13) % 17) as f64).collect();
                forbid_repeats(&mut logits, &read, n);
                match pick(&softmax(&logits, 0.0), 0.5) {
                    Some(word) => read.push(word as u32),
                    None => break, // five words have no more sequences of this length
                }
            }
            let mut sequences: Vec<&[u32]> = read.windows(n).collect();
            let all = sequences.len();
            sequences.sort_unstable();
            sequences.dedup();
            prop_assert_eq!(sequences.len(), all);
            prop_assert!(read.len() >= 5, "each word can come once");
        }

        #[test]
        fn every_point_picks_something_possible(before in distribution(), point in 0.0f64..1.0) {
            let picked = pick(&before, point).expect("something is possible");
            prop_assert!(before[picked] > 0.0);
            let below: f64 = before[..picked].iter().sum();
            prop_assert!(below <= point + 1e-9 && point < below + before[picked] + 1e-9);
        }

        #[test]
        fn a_lower_temperature_makes_the_likeliest_likelier(
            logits in prop::collection::vec(-20f64..20.0, 2..20), temperature in 0.1f64..0.9
        ) {
            let likeliest = |t| softmax(&logits, t).into_iter().fold(0.0, f64::max);
            prop_assert!(likeliest(temperature) >= likeliest(1.0) - 1e-12);
            prop_assert!((softmax(&logits, temperature).iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn temperature_zero_takes_the_likeliest_that_is_not_forbidden() {
        const OUT: f64 = f64::NEG_INFINITY;
        assert_eq!(softmax(&[1.0, 5.0, 5.0, 3.0], 0.0), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(softmax(&[1.0, OUT, OUT, 3.0], 0.0), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(pick(&softmax(&[OUT, OUT], 0.0), 0.5), None);
        assert_eq!(softmax(&[OUT, 2.0], 1.0), [0.0, 1.0]);
    }
}
