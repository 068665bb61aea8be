//! In what precision a training step computes. Weights, moments, losses and carried states are
//! float32 in every case; scoring and generating are too.

use std::cell::Cell;

use serde::{Deserialize, Serialize};
use tch::Device;

use crate::{Error, ext};

/// In what precision the products of a step are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32.
    #[default]
    Float32,
    /// bfloat16 where libtorch's automatic casting deems it safe (Micikevicius et al. 2018; bfloat16
    /// has float32's range, so losses need no scaling). For GPUs.
    Bf16,
}

impl Precision {
    /// Refuses bfloat16 where it would be no faster.
    pub(crate) fn check(self, device: Device) -> Result<(), Error> {
        if self == Precision::Bf16 && !device.is_cuda() {
            let advice = "use float32 on the CPU, or train on a GPU";
            return Err(Error::Setting { name: "train.precision", found: "bf16".into(), advice });
        }
        Ok(())
    }

    /// Casts until the guard is dropped, in this thread.
    pub(crate) fn begin(self) -> Result<Casting, Error> {
        if self == Precision::Bf16 {
            ext::autocast_bfloat16(true)?;
            CASTS.set(true);
        }
        Ok(Casting(self))
    }
}

thread_local! {
    // Of libtorch's flag, which is one for each thread as well.
    static CASTS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread takes products in bfloat16.
pub(crate) fn casts() -> bool {
    CASTS.get()
}

/// Does some work of a step that casts in which libtorch casts nothing by itself.
pub(crate) fn by_hand<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    ext::autocast_bfloat16(false)?;
    let came = work();
    ext::autocast_bfloat16(true)?;
    came
}

/// While it lives, products are taken in its precision.
#[derive(Debug)]
pub(crate) struct Casting(Precision);

impl Drop for Casting {
    fn drop(&mut self) {
        if self.0 == Precision::Bf16 {
            CASTS.set(false);
            // Switching off sets two flags and clears a cache: there is nothing to fail.
            let _ = ext::autocast_bfloat16(false);
        }
    }
}
