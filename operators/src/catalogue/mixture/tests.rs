//! The laws of a mixture.

use proptest::prelude::*;

use super::*;

/// Entries are (source, place in it).
type Entry = (usize, usize);

fn part(weight: Option<f64>, from: Epoch) -> Part {
    Part { weight, from, is_endless: false }
}

/// Sources that end, with so many entries each.
fn mixture(seed: u64, size: usize, sources: &[(Option<f64>, usize)]) -> Mixture<Entry> {
    let mut mixture = Mixture::new(seed, size);
    for (index, (weight, entries)) in sources.iter().enumerate() {
        let member = mixture.add(part(*weight, 0));
        mixture.offer(member, (0..*entries).map(|place| (index, place)));
        mixture.end(member);
    }
    mixture
}

/// Everything that a mixture has, by epochs.
fn epochs(mixture: &mut Mixture<Entry>, mut epoch: Epoch, mut first: u64) -> Vec<Vec<Entry>> {
    let mut epochs = Vec::new();
    while let Drawn::Slice(slice) = mixture.draw(epoch, first, false) {
        (epoch, first) = (epoch + 1, first + slice.len() as u64);
        epochs.push(slice);
    }
    epochs
}

fn weights() -> impl Strategy<Value = Vec<(Option<f64>, usize)>> {
    prop::collection::vec((prop::option::of(0.1..10.0f64), 0..60usize), 1..5)
}

proptest! {
    #[test]
    fn every_entry_is_drawn_once_and_each_source_in_its_order(
        sources in weights(), size in 1..9usize, seed: u64,
    ) {
        let drawn = epochs(&mut mixture(seed, size, &sources), 0, 0);
        let (last, full) = drawn.split_last().map_or((&[][..], &[][..]), |(l, f)| (&l[..], f));
        prop_assert!(full.iter().all(|epoch| epoch.len() == size) && last.len() <= size);
        let drawn = drawn.concat();
        for (index, (_, entries)) in sources.iter().enumerate() {
            let places = drawn.iter().filter(|entry| entry.0 == index).map(|entry| entry.1);
            prop_assert!(places.eq(0..*entries));
        }
        // Those without a weight come one after another.
        let mut in_turn: Vec<usize> =
            drawn.iter().map(|entry| entry.0).filter(|s| sources[*s].0.is_none()).collect();
        prop_assert!(in_turn.is_sorted());
        in_turn.dedup();
    }

    #[test]
    fn every_stretch_has_the_shares_that_were_asked_for(
        weights in prop::collection::vec(0.1..10.0f64, 2..5), seed: u64, from in 0..3000usize,
    ) {
        let sources: Vec<_> = weights.iter().map(|weight| (Some(*weight), 4000)).collect();
        let drawn = epochs(&mut mixture(seed, 16, &sources), 0, 0).concat();
        let whole: f64 = weights.iter().sum();
        for length in [1, 10, 100, 1000] {
            for (index, weight) in weights.iter().enumerate() {
                let stretch = &drawn[from..from + length];
                let found = stretch.iter().filter(|entry| entry.0 == index).count() as f64;
                // The discrepancy of the golden ratio grows as the logarithm; independent draws
                // would be 16 off (1 σ) in a stretch of 1000 at equal weights.
                let most = 2.0 + 0.6 * (length as f64).ln();
                prop_assert!((found - length as f64 * weight / whole).abs() <= most);
            }
        }
    }

    #[test]
    fn when_offers_arrive_changes_nothing(
        sources in weights(), size in 1..9usize, seed: u64,
        order in prop::collection::vec((0..5usize, 1..30usize), 0..40),
    ) {
        let expected = epochs(&mut mixture(seed, size, &sources), 0, 0).concat();
        let mut late = Mixture::new(seed, size);
        let members: Vec<_> =
            sources.iter().map(|(weight, _)| late.add(part(*weight, 0))).collect();
        let mut offered = vec![0; sources.len()];
        let (mut drawn, mut epoch) = (Vec::new(), 0);
        let everything = (0..sources.len()).map(|source| (source, usize::MAX));
        for (source, count) in order.into_iter().chain(everything) {
            let Some((_, entries)) = sources.get(source) else { continue };
            let until = offered[source] + count.min(entries - offered[source]);
            late.offer(members[source], (offered[source]..until).map(|place| (source, place)));
            offered[source] = until;
            if until == *entries {
                late.end(members[source]);
            }
            while let Drawn::Slice(slice) = late.draw(epoch, drawn.len() as u64, true) {
                drawn.extend(slice);
                epoch += 1;
            }
        }
        prop_assert_eq!(drawn, expected);
    }

    #[test]
    fn a_run_that_is_broken_anywhere_draws_the_same(
        sources in weights(), size in 1..9usize, seed: u64, broken_at in 0..20usize,
    ) {
        let unbroken = epochs(&mut mixture(seed, size, &sources), 0, 0);
        let before: Vec<Entry> = unbroken.iter().take(broken_at).flatten().copied().collect();
        let mut resumed = Mixture::new(seed, size);
        for (index, (weight, entries)) in sources.iter().enumerate() {
            let had = before.iter().filter(|entry| entry.0 == index).count();
            let member = resumed.add(part(*weight, 0));
            resumed.offer(member, (had..*entries).map(|place| (index, place)));
            resumed.end(member);
        }
        let epoch = broken_at.min(unbroken.len());
        let after = epochs(&mut resumed, epoch as Epoch, before.len() as u64);
        prop_assert_eq!(&after[..], &unbroken[epoch..]);
    }
}

#[test]
fn a_source_takes_part_from_its_epoch_until_it_is_removed() {
    let mut mixture = mixture(7, 4, &[(None, 12)]);
    let member = mixture.add(part(Some(1.0), 2));
    // What is not there yet is waited for from its epoch on, and not before.
    assert!(matches!(mixture.draw(0, 0, true), Drawn::Slice(_)));
    assert!(matches!(mixture.draw(1, 4, true), Drawn::Slice(slice) if slice.len() == 4));
    assert_eq!(mixture.draw(2, 8, true), Drawn::Waiting);
    mixture.offer(member, (0..100).map(|place| (1, place)));
    mixture.remove(member, 4);
    let Drawn::Slice(both) = mixture.draw(2, 8, true) else { panic!("it is here") };
    let new = both.iter().filter(|entry| entry.0 == 1).count();
    assert!((1..=3).contains(&new), "{both:?}");
    let Drawn::Slice(_) = mixture.draw(3, 12, true) else { panic!("there is more") };
    let rest = epochs(&mut mixture, 4, 16).concat();
    assert!(rest.iter().all(|entry| entry.0 == 0), "{rest:?}");
    assert_eq!(mixture.draw(9, 24, true), Drawn::Ended);
}

#[test]
fn epochs_in_which_nobody_takes_part_are_passed_over() {
    let mut mixture = mixture(7, 4, &[(None, 0)]);
    let member = mixture.add(part(None, 6));
    assert_eq!(mixture.draw(1, 0, true), Drawn::Later(6));
    mixture.offer(member, [(1, 0)]);
    mixture.end(member);
    assert_eq!(mixture.draw(6, 0, true), Drawn::Slice(vec![(1, 0)]));
}

#[test]
fn an_endless_source_keeps_nobody_waiting_and_fills_a_slice_unless_there_is_nothing_to_do() {
    let mut mixture = mixture(7, 4, &[(None, 2)]);
    let endless = mixture.add(Part { weight: None, from: 0, is_endless: true });
    assert!(mixture.is_open_ended(0));
    assert_eq!(mixture.draw(0, 0, false), Drawn::Waiting);
    assert_eq!(mixture.draw(0, 0, true), Drawn::Slice(vec![(0, 0), (0, 1)]));
    assert_eq!(mixture.draw(1, 2, true), Drawn::Waiting);
    mixture.offer(endless, (0..5).map(|place| (1, place)));
    let slice = (0..4).map(|place| (1, place)).collect();
    assert_eq!(mixture.draw(1, 2, false), Drawn::Slice(slice));
    mixture.end(endless);
    assert_eq!(mixture.draw(2, 6, false), Drawn::Slice(vec![(1, 4)]));
    assert_eq!(mixture.draw(3, 7, false), Drawn::Ended);
}
