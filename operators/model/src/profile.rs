//! How far gradients reach: whether they vanish or explode on their way back through time.
//!
//! The **gradient profile** is ‖∂ loss(T) / ∂ input(t)‖₂ over the distance T − t, where input(t) is the
//! embedded word that was read at column t, and loss(T) that of the word that follows column T, the
//! last. It is the mean over lanes, each from a fresh state, without dropout. (Pascanu, Mikolov and
//! Bengio 2013 tell why it falls or grows with the power T − t of what the recurrence does to a
//! gradient in one column.)
//!
//! Nothing is changed by it: no weight, no carried state, no generator.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Reduction, Tensor};

use crate::error::Doing;
use crate::network::State;
use crate::{Error, Network};

/// How far gradients reach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GradientProfile {
    /// At index `d` the mean over lanes of ‖∂ loss(T) / ∂ input(T − d)‖₂, in nats by unit of the
    /// embedding. Infinite or not a number where gradients overflow.
    pub norms: Vec<f64>,
    /// Lanes that the mean was taken over.
    pub lanes: usize,
    /// The mean loss of the last column in nats.
    pub nats: f64,
    /// Of each layer's recurrent matrix.
    pub spectral_norms: Vec<SpectralNorm>,
}

/// By how much a recurrent matrix can lengthen a vector: its largest singular value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpectralNorm {
    /// The largest of the gates.
    pub largest: f64,
    /// Of each gate's block `[hidden, hidden]`, in PyTorch's order: an LSTM's input, forget, cell and
    /// output; a GRU's reset, update and new; the one matrix of the others.
    pub gates: Vec<f64>,
}

impl GradientProfile {
    /// How many distances are looked at where nobody says otherwise.
    pub const LENGTH: usize = 128;
    /// How many lanes are looked at where nobody says otherwise.
    pub const LANES: usize = 8;
}

impl Network {
    /// The profile on `words`, which are text: it is cut into as many lanes of `length` words and the
    /// one that follows as it gives, `lanes` at most. A text that is too short for one gives a profile of
    /// fewer distances; one of less than two words has none, and no loss.
    ///
    /// # Errors
    /// If a word has no row, or libtorch fails.
    pub fn gradient_profile(
        &self,
        words: &[u32],
        lanes: usize,
        length: usize,
    ) -> Result<GradientProfile, Error> {
        self.check_words(words)?;
        let spectral_norms = self.spectral_norms()?;
        let columns = length.min(words.len().saturating_sub(1));
        if columns == 0 || lanes == 0 {
            return Ok(GradientProfile { spectral_norms, ..GradientProfile::default() });
        }
        let lanes: Vec<&[u32]> = words.chunks_exact(columns + 1).take(lanes).collect();
        let (norms, nats) = self.input_gradients(&lanes)?;
        // The last column is at distance 0.
        let norms = norms.into_iter().rev().collect();
        Ok(GradientProfile { norms, lanes: lanes.len(), nats, spectral_norms })
    }

    /// The norm of the gradient at each column, and the loss, as means over lanes of equal length
    /// whose last words are the targets.
    fn input_gradients(&self, lanes: &[&[u32]]) -> Result<(Vec<f64>, f64), Error> {
        let columns = lanes[0].len() - 1;
        let inputs: Vec<i64> = (0..columns)
            .flat_map(|column| lanes.iter().map(move |lane| i64::from(lane[column])))
            .collect();
        let targets: Vec<i64> = lanes.iter().map(|lane| i64::from(lane[columns])).collect();
        let targets = self.targets(&targets)?;
        let words = Tensor::from_slice(&inputs).view([columns as i64, lanes.len() as i64]);
        let embedded = self.embedded(&words.to_device(self.device()))?.detach();
        // On the CPU in any case: cuDNN gives gradients only with dropout on.
        let embedded = embedded.to_device(Device::Cpu).set_requires_grad(true);
        let state = State::zeros(self.shape(), lanes.len(), Device::Cpu);
        let output = self.recurrent_on_cpu()?.forward(&embedded, &state, false)?.0;
        let features = self.projected(output.get(-1).to_device(self.device()))?;
        // Lanes do not see each other: the gradient of the sum holds each lane's own.
        let nats = self.nats(&features, &targets, Reduction::Sum)?;
        let gradient = Tensor::f_run_backward(&[&nats], &[&embedded], false, false)
            .doing("could not compute the gradient profile")?
            .remove(0);
        // In float64: the squares of what has vanished would vanish in float32.
        let norms =
            gradient.to_kind(Kind::Double).square().sum_dim_intlist(-1, false, Kind::Double);
        let norms = norms.sqrt().mean_dim(-1, false, Kind::Double);
        let norms = Vec::<f64>::try_from(norms).doing("could not read the gradient profile")?;
        Ok((norms, nats.double_value(&[]) / lanes.len() as f64))
    }

    /// The spectral norm of each layer's recurrent matrix.
    pub fn spectral_norms(&self) -> Result<Vec<SpectralNorm>, Error> {
        let hidden = self.shape().hidden as i64;
        let layer = |weight: &Tensor| {
            let blocks = weight.detach().f_to_device(Device::Cpu)?.f_view([-1, hidden, hidden])?;
            let blocks = blocks.f_to_kind(Kind::Double)?;
            if blocks.f_isfinite()?.f_all()?.double_value(&[]) == 0.0 {
                return Ok(vec![f64::NAN; blocks.size()[0] as usize]); // LAPACK refuses those
            }
            // The roots of the eigenvalues of WᵀW: the binding's way to singular values fails on a
            // CPU. In float64 squaring costs no digit that float32 has.
            let squares = blocks.f_transpose(1, 2)?.f_matmul(&blocks)?.f_linalg_eigvalsh("L")?;
            let largest = squares.f_amax([-1i64].as_slice(), false)?.f_clamp_min(0.0)?.f_sqrt()?;
            Vec::<f64>::try_from(largest)
        };
        let layers = self.recurrent_matrices().map(|weight| {
            let gates =
                layer(weight).doing("could not take the singular values of a recurrence")?;
            let largest = gates.iter().copied().fold(f64::NAN, f64::max);
            Ok(SpectralNorm { largest, gates })
        });
        layers.collect()
    }
}
