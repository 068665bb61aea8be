//! Optimizers whose whole state is ordinary tensors, so that it can be saved, loaded and grown.
//!
//! tch's own optimizers hide their moments; these go through the same kernels of libtorch. Rows that
//! are appended to a parameter start with moments of zero, while the count of steps, which Adam's
//! bias correction reads, belongs to the whole parameter: a new row's first steps are up to
//! (1 - β₁) / √(1 - β₂) ≈ 3 times as long as a fresh parameter's.

mod adam;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::Error;
use crate::error::Doing;
use crate::network::Parameter;
use adam::Adam;

/// Which optimizer, and its constants. The learning rate is given at each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015); weight decay is added to the gradient.
    Adam(AdamConstants),
    /// AdamW (Loshchilov and Hutter 2019); weight decay is taken from the weights.
    AdamW(AdamConstants),
    /// Stochastic gradient descent, with momentum as PyTorch has it.
    Sgd {
        /// Share of the last step's direction that is kept; 0 for none.
        momentum: f64,
        /// Weight decay, added to the gradient.
        weight_decay: f64,
    },
}

/// The constants of Adam and AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamConstants {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Weight decay.
    pub weight_decay: f64,
}

impl Default for AdamConstants {
    fn default() -> AdamConstants {
        AdamConstants { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

impl Optimizer {
    /// What messages and checkpoints call it.
    pub fn name(&self) -> &'static str {
        match self {
            Optimizer::Adam(_) => "adam",
            Optimizer::AdamW(_) => "adamw",
            Optimizer::Sgd { .. } => "sgd",
        }
    }

    /// Refuses constants that diverge at once.
    pub fn check(&self) -> Result<(), Error> {
        let share = |name, value: f64| {
            if (0.0..1.0).contains(&value) {
                return Ok(());
            }
            let found = value.to_string();
            Err(Error::Setting { name, found, advice: "use 0 or more, and less than 1" })
        };
        let not_negative = |name, value: f64| {
            if value >= 0.0 && value.is_finite() {
                return Ok(());
            }
            Err(Error::Setting { name, found: value.to_string(), advice: "use 0 or more" })
        };
        match *self {
            Optimizer::Adam(constants) | Optimizer::AdamW(constants) => {
                share("train.optimizer.beta1", constants.beta1)?;
                share("train.optimizer.beta2", constants.beta2)?;
                not_negative("train.optimizer.epsilon", constants.epsilon)?;
                not_negative("train.optimizer.weight_decay", constants.weight_decay)
            }
            Optimizer::Sgd { momentum, weight_decay } => {
                share("train.optimizer.momentum", momentum)?;
                not_negative("train.optimizer.weight_decay", weight_decay)
            }
        }
    }
}

/// An optimizer with its moments, for one list of parameters in one order.
#[derive(Debug)]
pub struct OptimizerState {
    optimizer: Optimizer,
    moments: Moments,
}

#[derive(Debug)]
enum Moments {
    Adam(Adam),
    /// The momentum buffer of each parameter.
    Sgd(Vec<Tensor>),
}

impl OptimizerState {
    /// Moments of zero.
    pub fn new(optimizer: Optimizer, parameters: &[Parameter<'_>]) -> OptimizerState {
        let moments = match optimizer {
            Optimizer::Adam(_) | Optimizer::AdamW(_) => Moments::Adam(Adam::new(parameters)),
            Optimizer::Sgd { .. } => Moments::Sgd(zeros_like(parameters)),
        };
        OptimizerState { optimizer, moments }
    }

    /// One step, in place. `gradients` are the parameters', contiguous and in their order.
    pub fn step(
        &mut self,
        parameters: &[Parameter<'_>],
        gradients: &[Tensor],
        rate: f64,
    ) -> Result<(), Error> {
        match (&mut self.moments, self.optimizer) {
            (Moments::Adam(adam), Optimizer::Adam(constants)) => {
                adam.step(parameters, gradients, rate, constants, false)
            }
            (Moments::Adam(adam), Optimizer::AdamW(constants)) => {
                adam.step(parameters, gradients, rate, constants, true)
            }
            (Moments::Sgd(buffers), Optimizer::Sgd { momentum, weight_decay }) => {
                for ((parameter, gradient), buffer) in parameters.iter().zip(gradients).zip(buffers)
                {
                    let decay = if parameter.decays { weight_decay } else { 0.0 };
                    descend(parameter.tensor, gradient, buffer, (rate, momentum, decay))
                        .doing("could not take a step of gradient descent")?;
                }
                Ok(())
            }
            _ => unreachable!("moments are made for their optimizer, by new"),
        }
    }

    /// Gives the moments rows of zeros for rows that were appended to the parameters.
    pub fn grow(&mut self, parameters: &[Parameter<'_>]) {
        let moments: Vec<&mut Vec<Tensor>> = match &mut self.moments {
            Moments::Adam(adam) => vec![&mut adam.first, &mut adam.second],
            Moments::Sgd(buffers) => vec![buffers],
        };
        for moments in moments {
            for (moment, parameter) in moments.iter_mut().zip(parameters) {
                let mut size = parameter.tensor.size();
                let missing = size[0] - moment.size()[0];
                if missing > 0 {
                    size[0] = missing;
                    let zeros = Tensor::zeros(size, (Kind::Float, moment.device()));
                    *moment = Tensor::cat(&[&*moment, &zeros], 0);
                }
            }
        }
    }

    /// Every tensor of the state, under its parameter's name: `first.…`, `second.…` and `step.…` of
    /// Adam, `momentum.…` of gradient descent.
    pub fn tensors(&self, parameters: &[Parameter<'_>]) -> Vec<(String, &Tensor)> {
        let lists = match &self.moments {
            Moments::Adam(adam) => {
                vec![("first", &adam.first), ("second", &adam.second), ("step", &adam.steps)]
            }
            Moments::Sgd(buffers) => vec![("momentum", buffers)],
        };
        let named = |(prefix, tensors): (&'static str, _)| {
            let pairs = parameters.iter().zip::<&Vec<Tensor>>(tensors);
            pairs.map(move |(parameter, tensor)| (format!("{prefix}.{}", parameter.name), tensor))
        };
        lists.into_iter().flat_map(named).collect()
    }

    /// Puts tensors read from a file in place of the zeros; `take` as in `Network::replace`.
    pub(crate) fn replace(
        &mut self,
        parameters: &[Parameter<'_>],
        mut take: impl FnMut(&str, &[i64]) -> Result<Tensor, Error>,
    ) -> Result<(), Error> {
        let mut all = |prefix: &str, tensors: &mut Vec<Tensor>| -> Result<(), Error> {
            for (tensor, parameter) in tensors.iter_mut().zip(parameters) {
                let device = tensor.device();
                let read = take(&format!("{prefix}.{}", parameter.name), &tensor.size())?;
                *tensor =
                    read.f_to_device(device).doing("could not move a moment to its device")?;
            }
            Ok(())
        };
        match &mut self.moments {
            Moments::Adam(adam) => {
                all("first", &mut adam.first)?;
                all("second", &mut adam.second)?;
                all("step", &mut adam.steps)
            }
            Moments::Sgd(buffers) => all("momentum", buffers),
        }
    }
}

/// b ← momentum · b + (g + decay · p);  p ← p - rate · b
fn descend(
    parameter: &Tensor,
    gradient: &Tensor,
    buffer: &mut Tensor,
    (rate, momentum, decay): (f64, f64, f64),
) -> Result<(), tch::TchError> {
    tch::no_grad(|| {
        let mut parameter = parameter.shallow_clone();
        let _ = buffer.f_mul_scalar_(momentum)?;
        let _ = buffer.f_add_(gradient)?;
        if decay > 0.0 {
            let _ = buffer.f_add_(&parameter.f_mul_scalar(decay)?)?;
        }
        let _ = parameter.f_sub_(&buffer.f_mul_scalar(rate)?)?;
        Ok(())
    })
}

fn zeros_like(parameters: &[Parameter<'_>]) -> Vec<Tensor> {
    parameters.iter().map(|parameter| parameter.tensor.detach().zeros_like()).collect()
}
