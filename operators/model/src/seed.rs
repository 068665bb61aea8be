//! Random numbers as functions: a generator for each (seed, purpose, number), none that remembers.
//!
//! The streams depend on SHA-256 and ChaCha8 alone, not on the algorithms of the `rand` crates'
//! distributions, so that an upgrade cannot change a model.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The generator for one purpose.
pub(crate) fn generator(seed: u64, purpose: &str, number: u64) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// A seed for libtorch's own generator, for one step.
pub(crate) fn step_seed(seed: u64, step: u64) -> i64 {
    // SplitMix64's finalizer: neighbouring steps get unrelated seeds.
    let mut z = seed ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) as i64
}

/// Uniform in [0, 1), in steps of 2⁻²⁴.
pub(crate) fn unit(generator: &mut impl Rng) -> f32 {
    (generator.next_u32() >> 8) as f32 * (1.0 / (1 << 24) as f32)
}

/// Uniform in [-bound, bound).
pub(crate) fn around_zero(generator: &mut impl Rng, bound: f32) -> f32 {
    (2.0 * unit(generator) - 1.0) * bound
}

/// Normal with mean 0 and the given standard deviation (Box and Muller 1958).
pub(crate) fn normal(generator: &mut impl Rng, deviation: f32) -> f32 {
    let radius = (-2.0 * f64::from(1.0 - unit(generator)).ln()).sqrt();
    let angle = std::f64::consts::TAU * f64::from(unit(generator));
    (radius * angle.cos()) as f32 * deviation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_pinned_and_differ_by_seed_purpose_and_number() {
        let first = |seed, purpose, number| generator(seed, purpose, number).next_u32();
        // Pinned: a change here changes every model.
        assert_eq!(first(1, "row", 0), PINNED);
        assert_ne!(first(2, "row", 0), PINNED);
        assert_ne!(first(1, "col", 0), PINNED);
        assert_ne!(first(1, "row", 1), PINNED);
    }

    const PINNED: u32 = 2_344_017_687;

    #[test]
    fn normal_draws_have_the_deviation_asked_for() {
        let mut generator = generator(3, "normal", 0);
        let draws: Vec<f64> = (0..20_000).map(|_| f64::from(normal(&mut generator, 0.5))).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        // Standard error of the mean: 0.5 / √20000 = 0.0035
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance - 0.25).abs() < 0.02, "variance {variance}");
    }
}
