//! Successive halving (Jamieson and Talwalkar 2016) on the stream: all models of a search train on the
//! same chunks, and at the end of each rung the worse half is set aside. As there, each rung ends after
//! twice as many chunks as the one before, so that fewer models are judged by more.

/// How a search is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halving {
    /// Chunks after which the first rung ends.
    pub rung_chunks: u64,
    /// Rungs, one at least.
    pub rungs: u32,
}

impl Halving {
    /// As many rungs as leave one of `models`.
    pub fn of(models: usize, rung_chunks: u64) -> Self {
        Self { rung_chunks, rungs: models.next_power_of_two().trailing_zeros().max(1) }
    }

    /// After how many chunks each rung ends.
    pub fn ends(self) -> impl Iterator<Item = u64> {
        (0..self.rungs).map(move |rung| self.rung_chunks << rung)
    }

    /// After how many chunks the last rung ends.
    pub fn end(self) -> u64 {
        self.rung_chunks << (self.rungs - 1)
    }

    /// Whether a rung ends with this many chunks learnt.
    pub fn ends_a_rung(self, chunks: u64) -> bool {
        self.ends().any(|end| end == chunks)
    }
}

/// The worse half (less one where the number is odd) of those with these scores, of which a lower one
/// is better: their places. Of equals the earlier is the better.
pub fn worse_half(scores: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..scores.len()).collect();
    places.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    places.split_off(scores.len().div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_half_goes_and_somebody_always_stays() {
        assert_eq!(worse_half(&[3.0, 1.0, 2.0, 4.0]), [0, 3]);
        assert_eq!(worse_half(&[3.0, 1.0, 2.0]), [0]);
        assert_eq!(worse_half(&[2.0, 2.0]), [1]);
        assert_eq!(worse_half(&[f64::INFINITY, f64::NAN, 1.0, 2.0]), [0, 1]);
        assert_eq!(worse_half(&[9.0]), [0; 0]);
    }

    #[test]
    fn each_rung_ends_after_twice_as_many_chunks_as_the_one_before() {
        let halving = Halving::of(8, 3);
        let ends: Vec<u64> = (1..100).filter(|&chunks| halving.ends_a_rung(chunks)).collect();
        assert_eq!((ends, halving.end()), (vec![3, 6, 12], 12));
    }

    #[test]
    fn there_are_as_many_rungs_as_leave_one_model() {
        for models in 1..70 {
            let mut left = models;
            for _ in Halving::of(models, 1).ends() {
                left -= worse_half(&vec![0.0; left]).len();
            }
            assert_eq!(left, 1, "of {models}");
            let one_less = (models > 2).then(|| Halving::of(models, 1).rungs - 1);
            let left = (0..one_less.unwrap_or(0)).fold(models, |left, _| left.div_ceil(2));
            assert!(models <= 2 || left > 1, "{models} need no fewer");
        }
    }
}
