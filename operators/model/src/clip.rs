//! Gradient clipping: by the global norm (Pascanu et al. 2013), by value, or not at all. The norm
//! that is returned is always the one before clipping, because that is what tells of explosions.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::Doing;
use crate::{Error, ext};

/// How gradients are clipped.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clip {
    /// Not at all; the norm is still measured.
    None,
    /// All gradients are scaled by one factor, so that their global L2 norm is at most this.
    Norm(f64),
    /// Each element is cut off at plus and minus this.
    Value(f64),
}

/// What clipping found. Both are zero-dimensional float32 on the gradients' device: reading them
/// waits for the device.
#[derive(Debug)]
pub struct Clipped {
    /// The global norm from before.
    pub norm: Tensor,
    /// 1 if anything was clipped, else 0.
    pub happened: Tensor,
}

const COMPARE: &str = "could not compare the norm of the gradients";

impl Clip {
    /// Refuses limits that would stop or reverse training.
    pub fn check(self) -> Result<(), Error> {
        let (name, limit) = match self {
            Clip::None => return Ok(()),
            Clip::Norm(limit) => ("train.clip.norm", limit),
            Clip::Value(limit) => ("train.clip.value", limit),
        };
        if limit.is_finite() && limit > 0.0 {
            return Ok(());
        }
        let advice = "use a value above 0, or clip = \"none\"";
        Err(Error::Setting { name, found: limit.to_string(), advice })
    }

    /// Clips in place, and tells the norm from before.
    ///
    /// The gradients must not share memory, or an element would be scaled twice.
    pub fn apply(self, gradients: &[&Tensor]) -> Result<Clipped, Error> {
        match self {
            Clip::None => {
                let norm = ext::clip_norm(gradients, None)?;
                Ok(Clipped { happened: norm.zeros_like(), norm })
            }
            Clip::Norm(limit) => {
                let norm = ext::clip_norm(gradients, Some(limit))?;
                let happened = norm.f_gt(limit).and_then(|more| more.f_to_kind(Kind::Float));
                Ok(Clipped { happened: happened.doing(COMPARE)?, norm })
            }
            Clip::Value(limit) => {
                let norm = ext::clip_norm(gradients, None)?;
                for gradient in gradients {
                    let mut gradient = gradient.shallow_clone();
                    let _ = gradient.f_clamp_(-limit, limit).doing("could not clip a gradient")?;
                }
                // What was cut off is missing from the norm.
                let after = ext::clip_norm(gradients, None)?;
                let happened = after.f_lt_tensor(&norm).and_then(|l| l.f_to_kind(Kind::Float));
                Ok(Clipped { happened: happened.doing(COMPARE)?, norm })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.flatten(0, -1).to_kind(Kind::Double)).expect("one dimension")
    }

    #[test]
    fn clipping_follows_the_formulas_and_reports_the_norm_from_before() {
        let gradients = || (Tensor::from_slice(&[3f32, 0.0]), Tensor::from_slice(&[0f32, -4.0]));
        for (clip, factor) in [(Clip::None, 1.0), (Clip::Norm(1.0), 0.2), (Clip::Norm(9.0), 1.0)] {
            let (a, b) = gradients();
            let found = clip.apply(&[&a, &b]).expect("CPU tensors");
            assert_eq!(found.norm.double_value(&[]), 5.0); // √(3² + 4²)
            assert_eq!(found.happened.double_value(&[]) == 1.0, factor < 1.0);
            let clipped = [values(&a), values(&b)].concat();
            for (found, unclipped) in clipped.iter().zip([3.0, 0.0, 0.0, -4.0]) {
                assert!((found - unclipped * factor).abs() < 1e-6, "{clip:?}: {clipped:?}");
            }
        }
        let (a, b) = gradients();
        let found = Clip::Value(3.5).apply(&[&a, &b]).expect("CPU tensors");
        assert_eq!((found.norm.double_value(&[]), found.happened.double_value(&[])), (5.0, 1.0));
        assert_eq!([values(&a), values(&b)].concat(), [3.0, 0.0, 0.0, -3.5]);
        let found = Clip::Value(3.5).apply(&[&a, &b]).expect("CPU tensors");
        assert_eq!(found.happened.double_value(&[]), 0.0); // no more than 3.5 by now
    }

    #[test]
    fn limits_of_zero_and_below_are_refused_by_name() {
        let message = Clip::Norm(-1.0).check().expect_err("negative").to_string();
        assert_eq!(message, "`train.clip.norm` is -1; use a value above 0, or clip = \"none\"");
        assert!(Clip::Value(f64::NAN).check().is_err());
        assert!(Clip::Norm(0.25).check().is_ok());
    }
}
