//! The weights' fingerprint: SHA-256 over the tensors' names, shapes and bytes, in name order.
//!
//! For each tensor, ascending by the bytes of its name, the hash reads: the length of the name
//! (u32), the name in UTF-8, the number of dimensions (u32), each dimension (u64), and the elements
//! as float32 in row-major order; all numbers little-endian. The result is written in lower-case
//! hexadecimal. The same can be computed from `model.safetensors` in any language.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use tch::Tensor;

use crate::network::host;
use crate::{Network, Trainer};

/// The fingerprint of named float32 tensors, in whatever order they come.
pub fn digest(mut tensors: Vec<(String, &Tensor)>) -> String {
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut hash = Sha256::new();
    let mut bytes = Vec::new();
    for (name, tensor) in tensors {
        hash.update((name.len() as u32).to_le_bytes());
        hash.update(name.as_bytes());
        let size = tensor.size();
        hash.update((size.len() as u32).to_le_bytes());
        size.iter().for_each(|&dimension| hash.update((dimension as u64).to_le_bytes()));
        bytes.clear();
        bytes.extend(host(tensor).into_iter().flat_map(f32::to_le_bytes));
        hash.update(&bytes);
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all that is written");
        text
    })
}

impl Network {
    /// The fingerprint of the weights; see [`crate::digest`].
    pub fn weights_digest(&self) -> String {
        digest(self.parameters().into_iter().map(|p| (p.name, p.tensor)).collect())
    }
}

impl Trainer {
    /// The fingerprint of the weights that are to be used, averaged if they are: those of
    /// `model.safetensors`. An average is a function of all weights that there ever were, so it
    /// vouches for them too.
    pub fn weights_digest(&self) -> String {
        self.averaged().weights_digest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_that_the_documentation_says() {
        let tensor = Tensor::from_slice(&[1f32, -2.0]).view([1, 2]);
        let mut bytes = vec![1, 0, 0, 0, b'w', 2, 0, 0, 0];
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]); // 1.0, -2.0
        let expected: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest(vec![("w".to_owned(), &tensor)]), expected);
    }

    #[test]
    fn one_bit_a_name_and_a_shape_change_it_and_the_order_does_not() {
        let a = Tensor::from_slice(&[1f32, 2.0]);
        let nudged = Tensor::from_slice(&[f32::from_bits(1f32.to_bits() + 1), 2.0]);
        let column = a.view([2, 1]);
        let of = |first: (&str, &Tensor), second: (&str, &Tensor)| {
            digest(vec![(first.0.to_owned(), first.1), (second.0.to_owned(), second.1)])
        };
        let reference = of(("a", &a), ("b", &a));
        assert_eq!(reference, of(("b", &a), ("a", &a)));
        assert_ne!(reference, of(("a", &nudged), ("b", &a)));
        assert_ne!(reference, of(("a", &a), ("c", &a)));
        assert_ne!(reference, of(("a", &a), ("b", &column)));
    }
}
