//! Which targets each cluster answers for.

use std::ops::Range;

use tch::{Device, Tensor};

use crate::error::{Doing, Error};
use crate::layout::IGNORED;

/// Targets brought to the device, sorted by the cluster that answers for them.
///
/// The sorting is done where the words are known, on the host: to ask a GPU which targets lie in a
/// cluster would wait for it at every step.
#[derive(Debug)]
pub struct Targets {
    /// `[places]`: a row of the head, or the entry of the target's cluster, or [`IGNORED`].
    pub(super) head: Tensor,
    pub(super) tails: Vec<TailTargets>,
    pub(super) count: usize,
}

#[derive(Debug)]
pub(super) struct TailTargets {
    pub cluster: usize,
    /// Which places have targets in the cluster.
    pub places: Tensor,
    /// The targets' rows within the cluster.
    pub rows: Tensor,
}

impl Targets {
    /// Brings windows of `targets` to the device, all in one transfer.
    pub(super) fn place(
        targets: &[i64],
        windows: &[Range<usize>],
        cutoffs: &[usize],
        device: Device,
    ) -> Result<Vec<Targets>, Error> {
        let sorted: Vec<Sorted> =
            windows.iter().map(|window| sort(&targets[window.clone()], cutoffs)).collect();
        let flat: Vec<i64> = sorted.iter().flat_map(Sorted::numbers).copied().collect();
        let placed = Tensor::f_from_slice(&flat).and_then(|flat| flat.f_to_device(device));
        let placed = placed.doing("could not bring the targets to the device")?;
        let mut start = 0;
        let mut next = |length: usize| {
            start += length as i64;
            placed.narrow(0, start - length as i64, length as i64)
        };
        let on_device = |sorted: &Sorted| Targets {
            count: sorted.head.iter().filter(|&&target| target != IGNORED).count(),
            head: next(sorted.head.len()),
            tails: (sorted.tails.iter().enumerate())
                .filter(|(_, (places, _))| !places.is_empty())
                .map(|(cluster, (places, rows))| TailTargets {
                    cluster,
                    places: next(places.len()),
                    rows: next(rows.len()),
                })
                .collect(),
        };
        Ok(sorted.iter().map(on_device).collect())
    }
}

/// Targets by the cluster that answers for them.
struct Sorted {
    head: Vec<i64>,
    /// Of each cluster, the places and the rows within it.
    tails: Vec<(Vec<i64>, Vec<i64>)>,
}

impl Sorted {
    /// All numbers, in the order in which [`Targets::place`] takes them.
    fn numbers(&self) -> impl Iterator<Item = &i64> {
        self.head
            .iter()
            .chain(self.tails.iter().flat_map(|(places, rows)| places.iter().chain(rows)))
    }
}

fn sort(targets: &[i64], cutoffs: &[usize]) -> Sorted {
    let mut sorted =
        Sorted { head: targets.to_vec(), tails: vec![Default::default(); cutoffs.len()] };
    for (place, target) in sorted.head.iter_mut().enumerate() {
        let row = usize::try_from(*target).unwrap_or(0); // IGNORED stays what it is
        if let Some(cluster) = cutoffs.partition_point(|&cutoff| cutoff <= row).checked_sub(1) {
            sorted.tails[cluster].0.push(place as i64);
            sorted.tails[cluster].1.push((row - cutoffs[cluster]) as i64);
            *target = (cutoffs[0] + cluster) as i64;
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_left_to_the_head_or_to_its_cluster() {
        // Head 0..3, clusters 3..5 and 5..: their entries are 3 and 4.
        let sorted = sort(&[2, 3, IGNORED, 9, 4, 0], &[3, 5]);
        assert_eq!(sorted.head, [2, 3, IGNORED, 4, 3, 0]);
        assert_eq!(sorted.tails, [(vec![1, 4], vec![0, 1]), (vec![3], vec![4])]);
        assert_eq!(sort(&[7, IGNORED], &[]).head, [7, IGNORED]);
    }
}
