//! Adam's moments as tensors, stepped by libtorch's fused kernel (CPU and CUDA).

use tch::{Kind, Tensor};

use super::{AdamConstants, zeros_like};
use crate::ext::{self, AdamStep};
use crate::{Error, network::Parameter};

/// First and second moment and the count of steps of each parameter.
#[derive(Debug)]
pub(super) struct Adam {
    pub first: Vec<Tensor>,
    pub second: Vec<Tensor>,
    /// Zero-dimensional float32, as the kernel wants them: exact up to 2²⁴ steps.
    pub steps: Vec<Tensor>,
}

impl Adam {
    pub fn new(parameters: &[Parameter<'_>]) -> Adam {
        let zero =
            |parameter: &Parameter<'_>| Tensor::zeros([], (Kind::Float, parameter.tensor.device()));
        Adam {
            first: zeros_like(parameters),
            second: zeros_like(parameters),
            steps: parameters.iter().map(zero).collect(),
        }
    }

    pub fn step(
        &mut self,
        parameters: &[Parameter<'_>],
        gradients: &[Tensor],
        rate: f64,
        constants: AdamConstants,
        decoupled: bool,
    ) -> Result<(), Error> {
        let AdamConstants { beta1, beta2, epsilon, weight_decay } = constants;
        // Parameters that decay and those that do not take a call each.
        for decays in [true, false] {
            let weight_decay = if decays { weight_decay } else { 0.0 };
            let chosen = |list: &[Tensor]| -> Vec<Tensor> {
                let pairs = list.iter().zip(parameters);
                pairs.filter(|(_, p)| p.decays == decays).map(|(t, _)| t.shallow_clone()).collect()
            };
            let weights: Vec<&Tensor> =
                parameters.iter().filter(|p| p.decays == decays).map(|p| p.tensor).collect();
            if weights.is_empty() {
                continue; // the kernel wants one at least
            }
            let [gradients, first, second, steps] =
                [gradients, &self.first, &self.second, &self.steps].map(chosen);
            let [gradients, first, second, steps] =
                [&gradients, &first, &second, &steps].map(|list| list.iter().collect::<Vec<_>>());
            let numbers = AdamStep { rate, beta1, beta2, epsilon, weight_decay, decoupled };
            ext::fused_adam([&weights, &gradients, &first, &second, &steps], numbers)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tch::nn::{self, OptimizerConfig};

    use super::super::{Optimizer, OptimizerState};
    use super::*;

    /// The largest difference to tch's own optimizer after 30 steps on the same gradients.
    fn difference(optimizer: Optimizer, reference: impl OptimizerConfig) -> f64 {
        let store = nn::VarStore::new(tch::Device::Cpu);
        let values: Vec<f32> = (0..12).map(|i| (i as f32 * 0.7).sin()).collect();
        let start = Tensor::from_slice(&values).view([3, 4]);
        let theirs = store.root().var_copy("weight", &start);
        let mut reference = reference.build(&store, 1e-2).expect("a CPU optimizer");
        let ours = start.copy().set_requires_grad(true);
        let parameters = || vec![Parameter { name: "weight".into(), tensor: &ours, decays: true }];
        let mut state = OptimizerState::new(optimizer, &parameters());
        for step in 0..30 {
            let loss =
                |weight: &Tensor| (weight * (1.0 + f64::from(step % 3))).sin().sum(Kind::Float);
            reference.backward_step(&loss(&theirs));
            let gradients = Tensor::run_backward(&[loss(&ours)], &[&ours], false, false);
            state.step(&parameters(), &gradients, 1e-2).expect("matching tensors");
        }
        assert_ne!(start, ours, "nothing moved");
        (theirs - &ours).abs().max().double_value(&[])
    }

    #[test]
    fn adam_and_adamw_and_gradient_descent_step_as_torch_does() {
        let constants = |weight_decay| AdamConstants { weight_decay, ..Default::default() };
        let adam = |weight_decay| nn::Adam { wd: weight_decay, ..Default::default() };
        assert!(difference(Optimizer::Adam(constants(0.0)), adam(0.0)) < 1e-6);
        assert!(difference(Optimizer::Adam(constants(0.1)), adam(0.1)) < 1e-6);
        let reference = nn::AdamW { wd: 0.1, ..Default::default() };
        assert!(difference(Optimizer::AdamW(constants(0.1)), reference) < 1e-6);
        let sgd = Optimizer::Sgd { momentum: 0.9, weight_decay: 0.1 };
        let reference = nn::Sgd { momentum: 0.9, wd: 0.1, ..Default::default() };
        assert!(difference(sgd, reference) < 1e-6);
    }
}
