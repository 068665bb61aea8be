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
//! One document after the other, one lane: adapted weights cannot be shared.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, Tensor};

use crate::error::Doing;
use crate::network::State;
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
        let rate = match rule {
            Rule::Sgd => 0.1,
            Rule::Rms => 0.0005,
        };
        Adaptation { rule, rate, decay: 0.001, sequence: 32, clip: 1.0, carry: false }
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
    statistics: Option<&'a GradientStatistics>,
    // Mean of √m over all parameters.
    mean: f64,
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
        for words in documents {
            if !adaptation.carry {
                follower.restore()?;
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
        statistics: Option<&'a GradientStatistics>,
    ) -> Result<Follower<'a>, Error> {
        let shape = Shape { dropout: 0.0, ..trained.shape().clone() };
        let mut copy = Network::new(&shape, crate::Vectors::Tuned, 0, trained.device())?;
        let parameters = trained.parameters();
        copy.replace(|name, _| {
            let found = parameters.iter().find(|parameter| parameter.name == name);
            Ok(found.expect("both have one shape").tensor.detach().copy())
        })?;
        let mean = statistics.map_or(0.0, |GradientStatistics(roots)| {
            let sum: f64 = roots.iter().map(|root| root.sum(Kind::Double).double_value(&[])).sum();
            sum / roots.iter().map(Tensor::numel).sum::<usize>() as f64
        });
        Ok(Follower { trained, copy, adaptation, statistics, mean })
    }

    /// The trained weights once more.
    fn restore(&mut self) -> Result<(), Error> {
        tch::no_grad(|| {
            for (own, trained) in self.copy.parameters().iter().zip(self.trained.parameters()) {
                let mut own = own.tensor.shallow_clone();
                own.f_copy_(trained.tensor).doing("could not restore the weights")?;
            }
            Ok(())
        })
    }

    /// Scores a window that follows `before`, then takes a step on it. Gives the nats from before
    /// the step, and the state after the window.
    fn read(&mut self, window: &[u32], before: u32, state: &State) -> Result<(f64, State), Error> {
        let device = self.copy.device();
        let targets: Vec<i64> = window.iter().map(|&word| i64::from(word)).collect();
        let inputs = [&[i64::from(before)], &targets[..targets.len() - 1]].concat();
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
        let tensors: Vec<&Tensor> = parameters.iter().map(|parameter| parameter.tensor).collect();
        let gradients = Tensor::f_run_backward(&[loss], &tensors, false, false)
            .doing("could not compute the gradients")?;
        let norm = ext::clip_norm(&gradients.iter().collect::<Vec<_>>(), None)?.double_value(&[]);
        let rate = rate * (clip / norm.max(f64::MIN_POSITIVE)).min(1.0);
        let roots = match self.adaptation.rule {
            Rule::Rms => self.statistics,
            Rule::Sgd => None,
        };
        // Frozen rows stay as they are, and which they are is not told here.
        let frozen = usize::from(self.trained.learnable().is_some());
        let trained = self.trained.parameters();
        tch::no_grad(|| -> Result<(), tch::TchError> {
            for index in frozen..tensors.len() {
                let mut weight = tensors[index].shallow_clone();
                let mut back = trained[index].tensor.f_sub(&weight)?.f_mul_scalar(decay)?;
                match roots.map(|GradientStatistics(roots)| &roots[index]) {
                    None => {
                        let _ = weight.f_add_(&gradients[index].f_mul_scalar(-rate)?)?;
                    }
                    Some(root) => {
                        let divisor = root.f_add_scalar(EPSILON)?;
                        let step = gradients[index].f_div(&divisor)?.f_mul_scalar(-rate)?;
                        let _ = weight.f_add_(&step)?;
                        let most = 1.0 / decay.max(f64::MIN_POSITIVE);
                        let share = root.f_div_scalar(self.mean)?.f_clamp_max(most)?;
                        back = back.f_mul(&share)?;
                    }
                }
                if decay > 0.0 {
                    let _ = weight.f_add_(&back)?;
                }
            }
            Ok(())
        })
        .doing("could not take a step")
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use tch::Device;

    use super::*;
    use crate::optimizer::AdamConstants;
    use crate::{Cell, Clip, NewRow, Optimizer, Schedule, Settings, Trainer, Vectors};

    /// A trainer that has learnt a cycle of words 1 to 3, knows 8, and lies in `folder`.
    fn trained(folder: &Path) -> Trainer {
        crate::device::set_threads(1);
        let settings = Settings {
            shape: Shape {
                cell: Cell::Lstm,
                layers: 1,
                hidden: 16,
                embedding: 8,
                tied: true,
                dropout: 0.3,
                identity: 1.0,
                softmax: crate::Softmax::Full,
            },
            vectors: Vectors::Tuned,
            optimizer: Optimizer::Adam(AdamConstants::default()),
            schedule: Schedule::constant(0.01),
            clip: Clip::Norm(1.0),
            batch: 2,
            sequence: 10,
            passes: 5,
            precision: crate::Precision::Float32,
            average: 0.0,
            regularization: crate::Regularization::default(),
        };
        let mut trainer = Trainer::new(&settings, 3, Device::Cpu).expect("valid settings");
        trainer.append_rows(&[NewRow { vector: None, parts: &[] }; 8]).expect("plain rows");
        let cycle: Vec<u32> = (0..200).map(|i| 1 + i % 3).collect();
        trainer.learn(&cycle, &mut |_| ControlFlow::Continue(())).expect("known words");
        trainer.save(folder).expect("a folder of ours");
        trainer
    }

    /// A text that is nothing like the one that was learnt, but like itself.
    fn other() -> Vec<u32> {
        (0..160).map(|i| [4, 7, 5, 6, 6][i % 5]).collect()
    }

    #[test]
    fn adapting_helps_on_a_text_that_is_like_itself_and_leaves_the_weights() {
        let folder = tempfile::tempdir().expect("a folder");
        let trainer = trained(folder.path());
        let network = trainer.network();
        let statistics = GradientStatistics::read(folder.path(), network).expect("a checkpoint");
        let digest = network.weights_digest();
        let other = other();
        let plain = network.score(&other).expect("known words");
        for (rule, rate) in [(Rule::Sgd, 0.3), (Rule::Rms, 0.003)] {
            let still = Adaptation { rate: 0.0, sequence: 7, ..Adaptation::of(rule) };
            let moving = Adaptation { rate, sequence: 8, ..Adaptation::of(rule) };
            let score = |documents: &[&[u32]], adaptation| {
                network
                    .score_adapting(documents, adaptation, statistics.as_ref())
                    .expect("known words")
            };
            let unmoved = score(&[&other], still)[0];
            assert!((unmoved.nats - plain.nats).abs() < 1e-3, "{unmoved:?}, {plain:?}");
            assert_eq!(unmoved.targets, 160);
            let adapted = score(&[&other, &other], moving);
            assert!(adapted[0].nats < 0.9 * plain.nats, "{rule:?}: {adapted:?}, {plain:?}");
            assert_eq!(adapted[0], adapted[1], "each begins with the trained weights");
            // The first window is scored before anything was learnt from it.
            let first = score(&[&other[..8]], moving)[0].nats;
            let honest = network.score(&other[..8]).expect("known words").nats;
            assert!((first - honest).abs() < 1e-4, "{first}, {honest}");
            let carried = score(&[&other, &other], Adaptation { carry: true, ..moving });
            assert!(carried[1].nats < 0.9 * carried[0].nats, "{rule:?}: {carried:?}");
            assert_eq!(network.weights_digest(), digest);
        }
    }

    #[test]
    fn a_run_without_adam_has_no_statistics_and_is_told_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let trainer = trained(folder.path());
        let adaptation = Adaptation::of(Rule::Rms);
        let outcome = trainer.network().score_adapting(&[&[1, 2]], adaptation, None);
        let message = outcome.expect_err("no statistics").to_string();
        assert!(message.starts_with("`rule` is rms; use sgd"), "{message}");
    }
}
