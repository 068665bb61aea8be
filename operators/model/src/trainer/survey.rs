//! What the parameters look like, and how the last step of a chunk moved them: once a chunk, for a
//! pass over gradients and two over weights.

use serde::{Deserialize, Serialize};
use tch::{Kind, TchError, Tensor};

use crate::Error;
use crate::error::Doing;
use crate::network::Parameter;

/// One parameter at the end of a chunk. Norms are L2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterStatistics {
    /// The parameter's name in `model.safetensors`.
    pub name: String,
    /// Norm of the parameter after the last step.
    pub weight_norm: f64,
    /// Norm of its gradient in that step, before clipping.
    pub gradient_norm: f64,
    /// Norm of what the step changed.
    pub update_norm: f64,
}

impl ParameterStatistics {
    /// How far the step went for the parameter's size; 0 where the parameter is.
    pub fn update_ratio(&self) -> f64 {
        if self.weight_norm > 0.0 { self.update_norm / self.weight_norm } else { 0.0 }
    }
}

/// The parameters before a step.
pub(super) struct Survey {
    before: Vec<Tensor>,
    gradient_norms: Vec<Tensor>,
}

impl Survey {
    /// Copies the parameters and measures their gradients.
    pub fn begin(parameters: &[Parameter<'_>], gradients: &[Tensor]) -> Result<Survey, Error> {
        let gradient_norms: Result<_, TchError> = gradients.iter().map(Tensor::f_norm).collect();
        Ok(Survey {
            before: parameters.iter().map(|parameter| parameter.tensor.detach().copy()).collect(),
            gradient_norms: gradient_norms.doing("could not measure the gradients")?,
        })
    }

    /// Compares with the parameters after the step; waits for the device.
    pub fn end(self, parameters: &[Parameter<'_>]) -> Result<Vec<ParameterStatistics>, Error> {
        let norms = |(parameter, before): (&Parameter<'_>, &Tensor)| {
            let weight = parameter.tensor.detach();
            Ok([weight.f_norm()?, weight.f_sub(before)?.f_norm()?])
        };
        let pairs = parameters.iter().zip(&self.before).map(norms);
        let numbers = pairs.collect::<Result<Vec<_>, TchError>>().and_then(|pairs| {
            let all: Vec<Tensor> = pairs.into_iter().flatten().chain(self.gradient_norms).collect();
            Vec::<f64>::try_from(Tensor::f_stack(&all, 0)?.f_to_kind(Kind::Double)?)
        });
        let numbers = numbers.doing("could not measure the parameters")?;
        let (pairs, gradient_norms) = numbers.split_at(2 * parameters.len());
        let all = parameters.iter().zip(pairs.chunks_exact(2)).zip(gradient_norms);
        Ok(all
            .map(|((parameter, pair), &gradient_norm)| ParameterStatistics {
                name: parameter.name.clone(),
                weight_norm: pair[0],
                gradient_norm,
                update_norm: pair[1],
            })
            .collect())
    }
}
