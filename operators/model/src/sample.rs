//! Lets a network continue a text, one word at a time.
//!
//! What is drawn is a function of (weights, prompt, [`Sampler`], forbidden words): the generator is
//! ChaCha8, seeded, and the same on every machine; the probabilities are as exact as the device.

use std::cmp::Ordering;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::Doing;
use crate::network::State;
use crate::{DOCUMENT, Error, Network, seed};

/// How words are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampler {
    /// Logits are divided by this; below 1 likely words become likelier. 0 takes the likeliest.
    pub temperature: f64,
    /// Keeps this many of the likeliest words.
    pub top_k: Option<usize>,
    /// Keeps the likeliest words until their sum reaches this (Holtzman et al. 2020).
    pub top_p: Option<f64>,
    /// Another seed, another text.
    pub seed: u64,
}

impl Default for Sampler {
    fn default() -> Sampler {
        Sampler { temperature: 1.0, top_k: None, top_p: None, seed: 0 }
    }
}

impl Sampler {
    /// Refuses settings that leave nothing to draw.
    pub fn check(&self) -> Result<(), Error> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            let (name, found) = ("temperature", self.temperature.to_string());
            return Err(Error::Setting { name, found, advice: "use 0 or more" });
        }
        if self.top_k == Some(0) {
            let (name, found) = ("top_k", "0".to_owned());
            return Err(Error::Setting { name, found, advice: "use 1 or more, or leave it out" });
        }
        if let Some(top_p) = self.top_p.filter(|&p| !(p > 0.0 && p <= 1.0)) {
            let (name, found) = ("top_p", top_p.to_string());
            let advice = "use a value above 0, up to 1, or leave it out";
            return Err(Error::Setting { name, found, advice });
        }
        Ok(())
    }

    /// Reads the document mark and the prompt, then gives `count` words that follow it, none of them
    /// in `forbid`. An error ends the passage.
    pub fn generate<'a>(
        &self,
        network: &'a Network,
        prompt: &[u32],
        count: usize,
        forbid: &[u32],
    ) -> Result<Passage<'a>, Error> {
        self.check()?;
        let read = [&[DOCUMENT], prompt].concat();
        network.check_words(&read)?;
        Ok(Passage {
            network,
            sampler: *self,
            generator: seed::generator(self.seed, "sample", 0),
            forbid: forbid.to_vec(),
            state: State::zeros(network.shape(), 1, network.device()),
            unread: read.into_iter().map(i64::from).collect(),
            remaining: count,
        })
    }
}

/// A text being written.
#[derive(Debug)]
pub struct Passage<'a> {
    network: &'a Network,
    sampler: Sampler,
    generator: ChaCha8Rng,
    forbid: Vec<u32>,
    state: State,
    /// Words that the network has yet to read before the next can be drawn.
    unread: Vec<i64>,
    remaining: usize,
}

impl Iterator for Passage<'_> {
    type Item = Result<u32, Error>;

    fn next(&mut self) -> Option<Result<u32, Error>> {
        self.remaining = self.remaining.checked_sub(1)?;
        let word = self.draw();
        if word.is_err() {
            self.remaining = 0;
        }
        Some(word)
    }
}

impl Passage<'_> {
    fn draw(&mut self) -> Result<u32, Error> {
        let mut logits = tch::no_grad(|| {
            let words = Tensor::from_slice(&self.unread).view([-1, 1]);
            let words = words.to_device(self.network.device());
            let (features, state) = self.network.features(&words, &self.state, false)?;
            self.state = state;
            let logits = self.network.logits(&features.get(-1))?;
            Vec::<f64>::try_from(logits.view(-1).to_kind(Kind::Double))
                .doing("could not read the logits")
        })?;
        for &word in &self.forbid {
            if let Some(logit) = logits.get_mut(word as usize) {
                *logit = f64::NEG_INFINITY;
            }
        }
        let mut probabilities = softmax(&logits, self.sampler.temperature);
        filter(&mut probabilities, self.sampler.top_k, self.sampler.top_p);
        let point = f64::from(seed::unit(&mut self.generator));
        let word = pick(&probabilities, point).ok_or(Error::NothingToSay)?;
        self.unread = vec![word as i64];
        Ok(word as u32)
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

/// Sets to 0 what is not among the `top_k` likeliest, then what comes after their sum has reached
/// `top_p` of the whole; the rest is scaled to sum to 1. Of equals the one with the smaller index
/// comes first. The likeliest always stays; if all are 0, all stay 0.
pub fn filter(probabilities: &mut [f64], top_k: Option<usize>, top_p: Option<f64>) {
    if top_k.is_some() || top_p.is_some() {
        let likelier = |&a: &usize, &b: &usize| -> Ordering {
            probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b))
        };
        let mut order: Vec<usize> =
            (0..probabilities.len()).filter(|&word| probabilities[word] > 0.0).collect();
        order.sort_unstable_by(likelier);
        let mut kept = order.len().min(top_k.unwrap_or(usize::MAX));
        if let Some(share) = top_p {
            let mut missing: f64 =
                share * order[..kept].iter().map(|&word| probabilities[word]).sum::<f64>();
            let reached = order[..kept].iter().position(|&word| {
                missing -= probabilities[word];
                missing <= 0.0
            });
            kept = reached.map_or(kept, |last| last + 1);
        }
        order[kept..].iter().for_each(|&word| probabilities[word] = 0.0);
    }
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

    proptest! {
        #[test]
        fn what_is_kept_sums_to_one_in_the_old_proportions(
            before in distribution(), k in 1usize..40, p in 0.01f64..=1.0
        ) {
            let mut after = before.clone();
            filter(&mut after, Some(k), Some(p));
            prop_assert!((after.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            let kept: Vec<usize> = (0..after.len()).filter(|&i| after[i] > 0.0).collect();
            for pair in kept.windows(2) {
                let (a, b) = (pair[0], pair[1]);
                prop_assert!((after[a] * before[b] - after[b] * before[a]).abs() < 1e-9);
            }
        }

        #[test]
        fn nothing_that_is_dropped_is_likelier_than_what_is_kept(
            before in distribution(), k in 1usize..40, p in 0.01f64..=1.0
        ) {
            let mut after = before.clone();
            filter(&mut after, Some(k), Some(p));
            let chosen = |kept: bool| {
                let before = &before;
                (0..after.len()).filter(|&i| (after[i] > 0.0) == kept).map(|i| before[i])
                    .collect::<Vec<f64>>()
            };
            let least_kept = chosen(true).into_iter().fold(1.0, f64::min);
            prop_assert!(chosen(false).into_iter().all(|dropped| dropped <= least_kept));
        }

        #[test]
        fn top_k_keeps_that_many_and_top_p_the_fewest_that_reach_it(
            before in distribution(), k in 1usize..40, p in 0.01f64..0.99
        ) {
            let possible = before.iter().filter(|&&x| x > 0.0).count();
            let mut by_count = before.clone();
            filter(&mut by_count, Some(k), None);
            prop_assert_eq!(by_count.iter().filter(|&&x| x > 0.0).count(), k.min(possible));

            let mut by_share = before.clone();
            filter(&mut by_share, None, Some(p));
            let mut kept: Vec<f64> = (0..before.len())
                .filter(|&i| by_share[i] > 0.0).map(|i| before[i]).collect();
            kept.sort_by(f64::total_cmp);
            let sum: f64 = kept.iter().sum();
            prop_assert!(sum > p - 1e-9, "{} kept, {} wanted", sum, p);
            prop_assert!(sum - kept[0] < p + 1e-9, "one fewer would do");
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
