//! Dynamic evaluation (Krause et al. 2018): scores a text while learning from it.
//!
//! A document is read in windows. Each is scored with the weights as they are, and then a step is
//! taken on it, so no word helps to foretell itself. What adapts is a copy: the network that is
//! passed in is never touched. Before each document the copy gets the trained weights back, unless
//! weights and state are to be carried on.
//!
//! With g the gradient of a window's mean loss, θ₀ the trained weights, η the rate and λ the decay,
//! a step is
//!
//! - `sgd`: θ ← θ - η g + λ (θ₀ - θ)
//! - `rms`: θ ← θ - η g / (√m + ε) + λ s (θ₀ - θ), where m is the mean square of the gradients in
//!   training, here Adam's second moment, and s = min(√m / mean √m, 1 / λ) (their equations 6 to 9):
//!   what training has moved much moves less here, and is drawn back more.
//!
//! One document after the other, one lane: adapted weights cannot be shared. A step is bound by memory,
//! so the copy has of the embedding only the rows that a document's words and the softmax read: others
//! have no gradient and lie where they lay.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

use crate::error::Doing;
use crate::network::State;
use crate::trainer::gradients;
use crate::{DOCUMENT, Error, Network, Score, Shape, ext};

/// Which step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Plain gradient descent.
    Sgd,
    /// Divided by what gradients were like in training.
    Rms,
}

/// How a copy of the weights follows the text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptation {
    /// Which step is taken.
    pub rule: Rule,
    /// η; 0 adapts nothing.
    pub rate: f64,
    /// λ, the share by which each step draws the weights back to the trained ones.
    pub decay: f64,
    /// Words in a window: each is scored before a step is taken on it.
    pub sequence: usize,
    /// The global norm to which a window's gradient is scaled down where it is above.
    pub clip: f64,
    /// Whether weights and state are carried from document to document.
    pub carry: bool,
}

impl Adaptation {
    /// The defaults of a rule.
    pub fn of(rule: Rule) -> Adaptation {
        // Those of `rms` were sought on works that a model had not come to yet:
        // docs/benchmarks/quality.md.
        let (rate, decay) = match rule {
            Rule::Sgd => (0.1, 0.001),
            Rule::Rms => (0.0002, 0.0002),
        };
        Adaptation { rule, rate, decay, sequence: 32, clip: 1.0, carry: false }
    }

    /// Refuses settings that make no sense.
    pub fn check(&self) -> Result<(), Error> {
        if !(self.rate >= 0.0 && self.rate.is_finite()) {
            let (name, found) = ("learning_rate", self.rate.to_string());
            return Err(Error::Setting { name, found, advice: "use 0 or more" });
        }
        if !(0.0..1.0).contains(&self.decay) {
            let (name, found) = ("decay", self.decay.to_string());
            return Err(Error::Setting { name, found, advice: "use 0 or more, and less than 1" });
        }
        if self.sequence == 0 {
            let (name, found) = ("sequence", "0".to_owned());
            return Err(Error::Setting { name, found, advice: "use 1 or more" });
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            let (name, found) = ("clip", self.clip.to_string());
            return Err(Error::Setting { name, found, advice: "use a value above 0" });
        }
        Ok(())
    }
}

/// Keeps the divisor of [`Rule::Rms`] from 0: rows that training has hardly touched would leap.
const EPSILON: f64 = 1e-5;

/// What gradients were like in training: √m of each parameter, in the network's order.
#[derive(Debug)]
pub struct GradientStatistics(Vec<Tensor>);

impl GradientStatistics {
    /// From the second moments that Adam has left in a checkpoint's folder; nothing if another
    /// optimizer has trained.
    pub fn read(folder: &Path, network: &Network) -> Result<Option<Self>, Error> {
        let path = folder.join(crate::state::OPTIMIZER_FILE);
        let tensors = Tensor::read_safetensors(&path)
            .map_err(|error| Error::foreign(&path, error.to_string()))?;
        let moments = network.parameters().into_iter().map(|parameter| {
            let name = format!("second.{}", parameter.name);
            let moment = tensors.iter().find(|(found, _)| *found == name);
            let moment = moment.map(|(_, moment)| moment.to_device(network.device()).sqrt());
            moment.filter(|moment| moment.size() == parameter.tensor.size())
        });
        Ok(moments.collect::<Option<Vec<_>>>().map(Self))
    }
}

/// A copy of a network's weights that follows a text.
struct Follower<'a> {
    trained: &'a Network,
    copy: Network,
    adaptation: Adaptation,
    // The trained rows of the embedding that the copy has.
    table: Tensor,
    // Which they are, behind those that the softmax reads.
    others: Vec<u32>,
    // What `rms` makes of the statistics; without it every weight is treated alike. That of the
    // embedding is first here as everywhere, but of the copy's rows alone; whole, it is the next.
    measures: Option<Vec<Measure>>,
    whole: Option<Measure>,
}

/// What [`Rule::Rms`] knows of one parameter. Both are the same at every step, so they are worked
/// out once: a step is bound by memory, and goes through each parameter twice instead of ten times.
struct Measure {
    // 1 / (√m + ε)
    step: Tensor,
    // λ s
    back: Tensor,
}

impl Measure {
    fn shallow_clone(&self) -> Measure {
        Measure { step: self.step.shallow_clone(), back: self.back.shallow_clone() }
    }

    /// Those of all parameters.
    fn all(roots: &[Tensor], decay: f64) -> Result<Vec<Measure>, tch::TchError> {
        let sum: f64 = roots.iter().map(|root| root.sum(Kind::Double).double_value(&[])).sum();
        let mean = sum / roots.iter().map(Tensor::numel).sum::<usize>() as f64;
        let measure = |root: &Tensor| {
            let step = root.f_add_scalar(EPSILON)?.f_reciprocal_()?;
            let back = root.f_div_scalar(mean)?.f_mul_scalar_(decay)?.f_clamp_max_(1.0)?;
            Ok(Measure { step, back })
        };
        roots.iter().map(measure).collect()
    }
}

impl Network {
    /// Scores documents while adapting a copy of the weights to them; one score a document.
    ///
    /// # Errors
    /// [`Rule::Rms`] without statistics is a setting's error; libtorch's failures are passed on.
    pub fn score_adapting(
        &self,
        documents: &[&[u32]],
        adaptation: Adaptation,
        statistics: Option<&GradientStatistics>,
    ) -> Result<Vec<Score>, Error> {
        adaptation.check()?;
        documents.iter().try_for_each(|words| self.check_words(words))?;
        if adaptation.rule == Rule::Rms && statistics.is_none() {
            let (name, found) = ("rule", "rms".to_owned());
            let advice = "use sgd: only a run that adam has trained knows its gradients";
            return Err(Error::Setting { name, found, advice });
        }
        let mut follower = Follower::new(self, adaptation, statistics)?;
        let mut state = State::zeros(self.shape(), 1, self.device());
        let mut scores = Vec::with_capacity(documents.len());
        if adaptation.carry {
            follower.restore(documents)?;
        }
        for words in documents {
            if !adaptation.carry {
                follower.restore(&[words])?;
                state = State::zeros(self.shape(), 1, self.device());
            }
            let mut score = Score::default();
            let mut before = DOCUMENT;
            for window in words.chunks(adaptation.sequence) {
                let (nats, next) = follower.read(window, before, &state)?;
                score += Score { nats, targets: window.len() as u64 };
                state = next;
                before = window[window.len() - 1];
            }
            scores.push(score);
        }
        Ok(scores)
    }
}

impl<'a> Follower<'a> {
    fn new(
        trained: &'a Network,
        adaptation: Adaptation,
        statistics: Option<&GradientStatistics>,
    ) -> Result<Follower<'a>, Error> {
        let shape = Shape { dropout: 0.0, ..trained.shape().clone() };
        let mut copy = Network::new(&shape, crate::Vectors::Tuned, 0, trained.device())?;
        let parameters = trained.parameters();
        copy.replace(|name, _| {
            let found = parameters.iter().find(|parameter| parameter.name == name);
            Ok(found.expect("both have one shape").tensor.detach().copy())
        })?;
        let mut measures = statistics
            .filter(|_| adaptation.rule == Rule::Rms)
            .map(|GradientStatistics(roots)| Measure::all(roots, adaptation.decay))
            .transpose()
            .doing("could not prepare the steps")?;
        let whole = measures.as_mut().map(|measures| measures[0].shallow_clone());
        let (table, others) = (parameters[0].tensor.detach(), Vec::new());
        Ok(Follower { trained, copy, adaptation, table, others, measures, whole })
    }

    /// The trained weights once more, for reading `documents`.
    fn restore(&mut self, documents: &[&[u32]]) -> Result<(), Error> {
        let shared = self.trained.shared_rows() as u32;
        let words = documents.iter().flat_map(|words| words.iter().copied());
        let read: BTreeSet<u32> = words.chain([DOCUMENT]).filter(|&word| word >= shared).collect();
        self.others = read.into_iter().collect();
        let rows: Vec<i64> =
            (0..shared).chain(self.others.iter().copied()).map(i64::from).collect();
        let rows = Tensor::from_slice(&rows).to_device(self.trained.device());
        let trained = self.trained.parameters();
        let restored = tch::no_grad(|| {
            self.table = trained[0].tensor.f_index_select(0, &rows)?;
            self.copy.replace_embedding(&self.table.copy());
            if let (Some(measures), Some(whole)) = (&mut self.measures, &self.whole) {
                measures[0] = Measure {
                    step: whole.step.f_index_select(0, &rows)?,
                    back: whole.back.f_index_select(0, &rows)?,
                };
            }
            for (own, trained) in self.copy.parameters().iter().zip(&trained).skip(1) {
                let mut own = own.tensor.shallow_clone();
                own.f_copy_(trained.tensor)?;
            }
            Ok(())
        });
        restored.doing("could not restore the weights")
    }

    /// Which row of the copy's embedding a word has.
    fn row(&self, word: u32) -> i64 {
        match self.others.binary_search(&word) {
            Ok(place) => (self.trained.shared_rows() + place) as i64,
            Err(_) => i64::from(word), // the softmax reads it too
        }
    }

    /// Scores a window that follows `before`, then takes a step on it. Gives the nats from before
    /// the step, and the state after the window.
    fn read(&mut self, window: &[u32], before: u32, state: &State) -> Result<(f64, State), Error> {
        let device = self.copy.device();
        let targets: Vec<i64> = window.iter().map(|&word| i64::from(word)).collect();
        let read = [&[before], &window[..window.len() - 1]].concat();
        let inputs: Vec<i64> = read.into_iter().map(|word| self.row(word)).collect();
        let inputs = Tensor::from_slice(&inputs).view([-1, 1]).to_device(device);
        let targets = self.copy.targets(&targets)?;
        // cuDNN has gradients in training mode only. The copy has no dropout, so the mode is all one.
        let (features, state) = self.copy.features(&inputs, state, device.is_cuda())?;
        let nats = self.copy.nats(&features, &targets, Reduction::Sum)?;
        let read = nats.double_value(&[]);
        if !read.is_finite() {
            let name = "learning_rate";
            let (found, advice) =
                (self.adaptation.rate.to_string(), "the loss left all bounds: lower it");
            return Err(Error::Setting { name, found, advice });
        }
        if self.adaptation.rate > 0.0 {
            self.step(&(&nats / window.len() as f64))?;
        }
        Ok((read, state.detached()))
    }

    fn step(&mut self, loss: &Tensor) -> Result<(), Error> {
        let Adaptation { rate, decay, clip, .. } = self.adaptation;
        let parameters = self.copy.parameters();
        let mut gradients = gradients(loss, &parameters)?;
        let norm = ext::clip_norm(&gradients.iter().collect::<Vec<_>>(), None)?.double_value(&[]);
        let rate = rate * (clip / norm.max(f64::MIN_POSITIVE)).min(1.0);
        // Frozen rows stay as they are, and which they are is not told here.
        let frozen = usize::from(self.trained.learnable().is_some());
        let trained = self.trained.parameters();
        tch::no_grad(|| -> Result<(), tch::TchError> {
            for index in frozen..parameters.len() {
                let mut weight = parameters[index].tensor.shallow_clone();
                let trained = if index == 0 { &self.table } else { trained[index].tensor };
                let _ = gradients[index].f_mul_scalar_(-rate)?;
                match self.measures.as_ref().map(|measures| &measures[index]) {
                    None => {
                        if decay > 0.0 {
                            let _ = weight.f_lerp_(trained, decay)?;
                        }
                        let _ = weight.f_add_(&gradients[index])?;
                    }
                    Some(Measure { step, back }) => {
                        if decay > 0.0 {
                            let _ = weight.f_lerp_tensor_(trained, back)?;
                        }
                        let _ = weight.f_addcmul_(&gradients[index], step)?;
                    }
                }
            }
            Ok(())
        })
        .doing("could not take a step")
    }
}
