//! Successive halving (Jamieson and Talwalkar 2016) on the stream: all models of a search train on the
//! same chunks, and at the end of each rung the worse half is set aside.

/// How a search is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halving {
    /// Chunks in a rung.
    pub rung_chunks: u64,
}

impl Halving {
    /// Whether a rung ends with this many chunks learnt.
    pub fn ends_a_rung(self, chunks: u64) -> bool {
        chunks.is_multiple_of(self.rung_chunks.max(1))
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
    fn a_rung_ends_with_its_last_chunk() {
        let halving = Halving { rung_chunks: 3 };
        let ends: Vec<u64> = (1..10).filter(|&chunks| halving.ends_a_rung(chunks)).collect();
        assert_eq!(ends, [3, 6, 9]);
    }
}
