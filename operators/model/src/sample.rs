//! Lets a network continue a text, one word at a time.
//!
//! What is drawn is a function of (weights, prompt, [`Sampler`], forbidden words): the generator is
//! ChaCha8, seeded, and the same on every machine; the probabilities are as exact as the device.
//!
//! The filters come in this order: forbidden words, repetition penalty, sequences that must not come
//! twice, temperature, top-k, typical, top-p, min-p; then a word is drawn. Each works on what the one
//! before has left.

pub mod filters;

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
    /// Keeps the most typical words until their sum reaches this (Meister et al. 2023).
    pub typical: Option<f64>,
    /// Keeps the words that are at least this many times as likely as the likeliest (Nguyen et al.
    /// 2024).
    pub min_p: Option<f64>,
    /// Above 1, words that were read lately become less likely (Keskar et al. 2019).
    pub repetition_penalty: f64,
    /// How many words back the penalty looks.
    pub repetition_window: usize,
    /// No sequence of this many words comes twice (Paulus et al. 2018).
    pub no_repeat: Option<usize>,
    /// Another seed, another text.
    pub seed: u64,
}

impl Default for Sampler {
    fn default() -> Sampler {
        Sampler {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            typical: None,
            min_p: None,
            repetition_penalty: 1.0,
            repetition_window: 64,
            no_repeat: None,
            seed: 0,
        }
    }
}

impl Sampler {
    /// Refuses settings that leave nothing to draw.
    pub fn check(&self) -> Result<(), Error> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            let (name, found) = ("temperature", self.temperature.to_string());
            return Err(Error::Setting { name, found, advice: "use 0 or more" });
        }
        if !(self.repetition_penalty >= 1.0 && self.repetition_penalty.is_finite()) {
            let (name, found) = ("repetition_penalty", self.repetition_penalty.to_string());
            return Err(Error::Setting { name, found, advice: "use 1 or more" });
        }
        for (name, count) in [("top_k", self.top_k), ("no_repeat", self.no_repeat)] {
            if count == Some(0) {
                let advice = "use 1 or more, or leave it out";
                return Err(Error::Setting { name, found: "0".to_owned(), advice });
            }
        }
        let shares = [("top_p", self.top_p), ("typical", self.typical), ("min_p", self.min_p)];
        for (name, share) in shares {
            if let Some(share) = share.filter(|&share| !(share > 0.0 && share <= 1.0)) {
                let advice = "use a value above 0, up to 1, or leave it out";
                return Err(Error::Setting { name, found: share.to_string(), advice });
            }
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
    ) -> Result<impl Iterator<Item = Result<u32, Error>> + use<'a>, Error> {
        let passages = self.passages(network, prompt, (1, count), forbid)?;
        Ok(passages.map(|words| words.map(|words| words[0])))
    }

    /// The same for several passages at once, the first drawn with this seed, the second with the
    /// next, and so on: each step reads one `[1, passages]` window and gives a word of each. Words
    /// may differ from those of a passage drawn alone where two are as good as equal, since sums
    /// are formed differently.
    pub fn passages<'a>(
        &self,
        network: &'a Network,
        prompt: &[u32],
        (passages, count): (usize, usize),
        forbid: &[u32],
    ) -> Result<Passages<'a>, Error> {
        self.check()?;
        let read = [&[DOCUMENT], prompt].concat();
        network.check_words(&read)?;
        let seeds = (0..passages as u64).map(|lane| self.seed.wrapping_add(lane));
        Ok(Passages {
            network,
            sampler: *self,
            generators: seeds.map(|seed| seed::generator(seed, "sample", 0)).collect(),
            forbid: forbid.to_vec(),
            state: State::zeros(network.shape(), 1, network.device()),
            read: vec![prompt.to_vec(); passages],
            unread: Tensor::from_slice(&read.into_iter().map(i64::from).collect::<Vec<_>>())
                .view([-1, 1]),
            remaining: if passages == 0 { 0 } else { count },
        })
    }

    /// What the next word is drawn from: the filters in their order. `read` is the text so far.
    pub fn probabilities(&self, mut logits: Vec<f64>, read: &[u32], forbid: &[u32]) -> Vec<f64> {
        for &word in forbid {
            if let Some(logit) = logits.get_mut(word as usize) {
                *logit = f64::NEG_INFINITY;
            }
        }
        let recent = &read[read.len().saturating_sub(self.repetition_window)..];
        filters::penalize(&mut logits, recent, self.repetition_penalty);
        if let Some(n) = self.no_repeat {
            filters::forbid_repeats(&mut logits, read, n);
        }
        let mut probabilities = filters::softmax(&logits, self.temperature);
        if let Some(count) = self.top_k {
            filters::top_k(&mut probabilities, count);
        }
        if let Some(share) = self.typical {
            filters::typical(&mut probabilities, share);
        }
        if let Some(share) = self.top_p {
            filters::top_p(&mut probabilities, share);
        }
        if let Some(share) = self.min_p {
            filters::min_p(&mut probabilities, share);
        }
        probabilities
    }
}

/// Texts being written side by side, each from the same prompt.
#[derive(Debug)]
pub struct Passages<'a> {
    network: &'a Network,
    sampler: Sampler,
    // One a passage.
    generators: Vec<ChaCha8Rng>,
    forbid: Vec<u32>,
    // One lane while the prompt is unread, which is read once for all; then one a passage.
    state: State,
    /// The prompt and what was written, of each passage: what repetitions are looked for in.
    read: Vec<Vec<u32>>,
    /// Words that the network has yet to read before the next can be drawn, `[columns, lanes]`.
    unread: Tensor,
    remaining: usize,
}

impl Iterator for Passages<'_> {
    type Item = Result<Vec<u32>, Error>;

    fn next(&mut self) -> Option<Result<Vec<u32>, Error>> {
        self.remaining = self.remaining.checked_sub(1)?;
        let words = self.draw();
        if words.is_err() {
            self.remaining = 0;
        }
        Some(words)
    }
}

impl Passages<'_> {
    fn draw(&mut self) -> Result<Vec<u32>, Error> {
        let lanes = self.generators.len();
        let logits = tch::no_grad(|| {
            let unread = self.unread.to_device(self.network.device());
            let (features, state) = self.network.features(&unread, &self.state, false)?;
            self.state = state;
            let logits = self.network.logits(&features.get(-1))?; // [lanes, rows]
            Vec::<f64>::try_from(logits.reshape([-1]).to_kind(Kind::Double))
                .doing("could not read the logits")
        })?;
        let rows = self.network.rows();
        let read_by_all = logits.len() == rows && lanes > 1;
        let mut words = Vec::with_capacity(lanes);
        for (lane, generator) in self.generators.iter_mut().enumerate() {
            let start = if read_by_all { 0 } else { lane * rows };
            let logits = logits[start..start + rows].to_vec();
            let probabilities = self.sampler.probabilities(logits, &self.read[lane], &self.forbid);
            let point = f64::from(seed::unit(generator));
            let word = filters::pick(&probabilities, point).ok_or(Error::NothingToSay)? as u32;
            self.read[lane].push(word);
            words.push(word);
        }
        if read_by_all {
            self.state = self.state.repeated(lanes as i64);
        }
        let unread: Vec<i64> = words.iter().map(|&word| i64::from(word)).collect();
        self.unread = Tensor::from_slice(&unread).view([1, -1]);
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_is_asked_for_by_its_setting() {
        // Of 4 words, with probabilities 0.5, 0.25, 0.15, 0.1; words 0 and 1 were read.
        let logits: Vec<f64> = [0.5f64, 0.25, 0.15, 0.1].iter().map(|p| p.ln()).collect();
        let plain = Sampler::default();
        let possible = |sampler: Sampler| -> Vec<usize> {
            let probabilities = sampler.probabilities(logits.clone(), &[0, 1, 0], &[]);
            (0..4).filter(|&word| probabilities[word] > 0.0).collect()
        };
        assert_eq!(possible(plain), [0, 1, 2, 3]);
        assert_eq!(possible(Sampler { temperature: 0.0, ..plain }), [0]);
        assert_eq!(possible(Sampler { top_k: Some(2), ..plain }), [0, 1]);
        assert_eq!(possible(Sampler { top_p: Some(0.8), ..plain }), [0, 1, 2]);
        assert_eq!(possible(Sampler { min_p: Some(0.25), ..plain }), [0, 1, 2]);
        // The entropy is 1.21 nats, and the surprises are 0.69, 1.39, 1.90 and 2.30.
        assert_eq!(possible(Sampler { typical: Some(0.2), ..plain }), [1]);
        // Word 1 has followed word 0.
        assert_eq!(possible(Sampler { no_repeat: Some(2), ..plain }), [0, 2, 3]);
        let penalty = Sampler { repetition_penalty: 3.0, ..plain };
        let least = |sampler: Sampler| sampler.probabilities(logits.clone(), &[0, 1, 2], &[])[0];
        // Above the mean of the logits word 0 stands by 0.88, divided by 3; likewise the others.
        assert!((least(penalty) - 0.41).abs() < 0.01, "{}", least(penalty));
        // Word 0 lies outside a window of two.
        assert!(least(Sampler { repetition_window: 2, ..penalty }) > 0.5);
    }

    #[test]
    fn settings_that_leave_nothing_are_refused_by_name() {
        let plain = Sampler::default();
        for (name, sampler) in [
            ("temperature", Sampler { temperature: f64::NAN, ..plain }),
            ("top_k", Sampler { top_k: Some(0), ..plain }),
            ("top_p", Sampler { top_p: Some(1.5), ..plain }),
            ("typical", Sampler { typical: Some(0.0), ..plain }),
            ("min_p", Sampler { min_p: Some(-0.1), ..plain }),
            ("repetition_penalty", Sampler { repetition_penalty: 0.5, ..plain }),
            ("no_repeat", Sampler { no_repeat: Some(0), ..plain }),
        ] {
            let message = sampler.check().expect_err(name).to_string();
            assert!(message.starts_with(&format!("`{name}` is ")), "{message}");
        }
    }
}
