//! The running average of the weights (Polyak and Juditsky 1992), exponential as in Adam's paper
//! (Kingma and Ba 2015, section 7.2): a network of its own that follows the one in training.
//!
//! After step t the average goes the share 1 - min(d, (1 + t) / (10 + t)) of the way to the weights,
//! where d is the decay: at first it follows closely, so that it soon forgets the random beginning.
//! Rows of new words join it with their first values.

use tch::{TchError, Tensor};

use crate::error::Doing;
use crate::{Error, Network, Settings};

/// The share of the average that step `step` keeps.
fn kept(decay: f64, step: u64) -> f64 {
    decay.min((1.0 + step as f64) / (10.0 + step as f64))
}

/// A copy of a network, as an average begins.
pub(crate) fn begun(settings: &Settings, network: &Network, seed: u64) -> Result<Network, Error> {
    let mut average = Network::new(&settings.shape, settings.vectors, seed, network.device())?;
    grow(&mut average, network)?;
    Ok(average)
}

/// Gives `average` the rows that `network` has more, and the tensors.
pub(super) fn grow(average: &mut Network, network: &Network) -> Result<(), Error> {
    let own: Vec<(String, Tensor)> = average
        .parameters()
        .into_iter()
        .map(|parameter| (parameter.name, parameter.tensor.detach()))
        .collect();
    let first = average.rows() == 0;
    let others = network.parameters();
    average.replace(|name, _| {
        let other = others.iter().find(|parameter| parameter.name == name);
        let other = other.expect("both have one shape").tensor.detach();
        let grown = || -> Result<Tensor, TchError> {
            let own = own.iter().find(|(own, _)| own == name);
            let Some((_, own)) = own.filter(|_| !first) else { return Ok(other.copy()) };
            let (had, has) = (own.size()[0], other.size()[0]);
            Tensor::f_cat(&[own, &other.f_narrow(0, had, has - had)?], 0)
        };
        tch::no_grad(grown).doing("could not grow the averaged weights")
    })
}

/// Draws `average` to the weights after a step.
pub(super) fn follow(
    average: &Network,
    network: &Network,
    decay: f64,
    step: u64,
) -> Result<(), Error> {
    let share = 1.0 - kept(decay, step);
    tch::no_grad(|| {
        for (average, parameter) in average.parameters().iter().zip(network.parameters()) {
            let _ = average.tensor.detach().f_lerp_(&parameter.tensor.detach(), share)?;
        }
        Ok(())
    })
    .doing("could not average the weights")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_follows_closely_at_first_and_keeps_its_decay_later() {
        assert_eq!(kept(0.999, 1), 2.0 / 11.0);
        assert_eq!(kept(0.5, 8), 0.5); // 9 / 18
        assert_eq!(kept(0.5, 80), 0.5);
        assert_eq!(kept(0.999, 1 << 40), 0.999);
    }
}
