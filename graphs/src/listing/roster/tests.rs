//! What commands and offers come to.

use std::collections::HashSet;

use crossbeam_channel::unbounded;
use operators::record::Entry;

use super::*;
use crate::job::Sample;

fn source(name: &str, weight: Option<f64>) -> Source {
    Source::Sample(Sample { name: name.into(), weight, ..Sample::default() })
}

fn roster(had: Had, first: Epoch, drawn: Option<(DrawnEpochs, Replay)>) -> Roster {
    let (waker, events, alarm) = (Waker::default(), unbounded().0, Alarm::new());
    Roster::new(Beginning { seed: 3, epoch_entries: 4, first, had, drawn, waker, events, alarm })
}

fn offer(name: &str, ids: std::ops::Range<u32>) -> Offer {
    let entry = |id: u32| Entry { source: name.into(), id: id.to_string(), ..Entry::default() };
    Offer { entries: ids.map(|id| (entry(id), None)).collect(), is_whole: true }
}

/// A source that has offered all that it has.
fn listed(roster: &Roster, name: &str, place: Place, entries: u32) {
    roster.offer(place, offer(name, 0..entries));
    roster.end(place);
}

/// The epochs from one on: their numbers, and what is in them.
fn epochs(roster: &mut Roster, mut epoch: Epoch) -> Vec<(Epoch, Vec<String>)> {
    let mut epochs = Vec::new();
    loop {
        match roster.draw(epoch, true) {
            Drawn::Slice(lines) => epochs.push((epoch, told(&lines))),
            Drawn::Later(later) => {
                epoch = later;
                continue;
            }
            Drawn::Waiting | Drawn::Ended => return epochs,
        }
        epoch += 1;
    }
}

fn told(lines: &[Line]) -> Vec<String> {
    let told = |line: &Line| {
        let entry = line.entry();
        format!("{} {}:{}", entry.sequence, entry.source, entry.id)
    };
    lines.iter().map(told).collect()
}

fn journalled(at: &mut Option<Epoch>) -> impl FnOnce(Epoch) -> io::Result<()> {
    |epoch| {
        *at = Some(epoch);
        Ok(())
    }
}

#[test]
fn a_command_holds_from_the_first_epoch_that_is_not_drawn_and_a_resumed_run_draws_the_same() {
    let mut unbroken = roster(Had::default(), 0, None);
    let old = unbroken.add(&source("old", None), false, 0);
    listed(&unbroken, "old", old, 40);
    let mut drawn = Vec::new();
    for epoch in 0..3 {
        let Drawn::Slice(lines) = unbroken.draw(epoch, false) else { panic!("there is more") };
        drawn.push((epoch, told(&lines)));
    }
    let mut at = None;
    let new = source("new", Some(1.0));
    let (place, epoch) = unbroken.attach(&new, false, journalled(&mut at)).expect("it is new");
    assert_eq!((epoch, at), (3, Some(3)));
    // Its epoch is not drawn without it.
    assert_eq!(unbroken.draw(3, true), Drawn::Waiting);
    listed(&unbroken, "new", place, 10);
    for epoch in 3..5 {
        let Drawn::Slice(lines) = unbroken.draw(epoch, false) else { panic!("there is more") };
        drawn.push((epoch, told(&lines)));
    }
    let mut at = None;
    assert_eq!(unbroken.detach("new", journalled(&mut at)).ok(), at);
    assert_eq!(at, Some(5));
    drawn.extend(epochs(&mut unbroken, 5));
    let of_new = |epochs: &[(Epoch, Vec<String>)]| {
        epochs.iter().flat_map(|(_, lines)| lines).filter(|line| line.contains("new:")).count()
    };
    assert_eq!((of_new(&drawn[..3]), of_new(&drawn[5..])), (0, 0));
    assert!((2..=6).contains(&of_new(&drawn)), "{drawn:?}"); // of 8: 4 on average

    for broken_at in 0..drawn.len() {
        let mut had = Had::default();
        for line in drawn[..broken_at].iter().flat_map(|(_, lines)| lines) {
            let (sequence, name) = line.split_once(' ').expect("as told");
            let (source, id) = name.split_once(':').expect("as told");
            let entry = Entry {
                sequence: sequence.parse().expect("a number"),
                source: source.into(),
                id: id.into(),
                ..Entry::default()
            };
            let next = entry.sequence + 1;
            had.note(&[Line::Read(entry.into())], next);
        }
        let first = broken_at as Epoch;
        let mut resumed = roster(had, first, None);
        let old = resumed.add(&source("old", None), false, 0);
        let place = resumed.add(&new, false, 3);
        resumed.remove("new", 5).expect("it is there");
        listed(&resumed, "new", place, 10);
        listed(&resumed, "old", old, 40);
        assert_eq!(epochs(&mut resumed, first), drawn[broken_at..]);
    }
}

#[test]
fn a_source_that_was_detached_and_is_attached_again_goes_on_where_it_was_left() {
    let mut roster = roster(Had::default(), 0, None);
    let nothing = |_| Ok(());
    let (place, _) = roster.attach(&source("a", None), false, nothing).expect("it is new");
    listed(&roster, "a", place, 12);
    roster.draw(0, true);
    roster.detach("a", nothing).expect("it is there");
    let _keeps_open = roster.expect();
    assert_eq!(roster.draw(1, true), Drawn::Waiting);
    let (place, epoch) = roster.attach(&source("a", None), false, nothing).expect("it is gone");
    listed(&roster, "a", place, 12);
    let Drawn::Slice(lines) = roster.draw(epoch, true) else { panic!("there is more") };
    assert_eq!(told(&lines), ["4 a:4", "5 a:5", "6 a:6", "7 a:7"]);
}

#[test]
fn what_cannot_be_attached_or_detached_is_refused_and_changes_nothing() {
    let mut roster = roster(Had::default(), 0, None);
    let (a, b) = (source("a", None), source("b", None));
    let place = roster.add(&a, false, 0);
    listed(&roster, "a", place, 4);
    let unasked = |_| panic!("nothing is written down of what is refused");
    assert!(matches!(roster.attach(&a, false, unasked), Err(RosterError::Attached(_))));
    assert!(matches!(roster.detach("b", unasked), Err(RosterError::Unknown(_))));
    let full = |_| Err(io::ErrorKind::StorageFull.into());
    assert!(matches!(roster.attach(&b, false, full), Err(RosterError::Journal(_))));
    assert_eq!(epochs(&mut roster, 0).len(), 1);
    // Once the catalogue has ended, an attached source would never be read.
    assert!(matches!(roster.attach(&b, false, unasked), Err(RosterError::Ended)));
}

#[test]
fn the_catalogue_does_not_end_while_something_is_about_to_be_attached() {
    let mut roster = roster(Had::default(), 0, None);
    let expectation = roster.expect();
    assert_eq!(roster.draw(0, true), Drawn::Waiting);
    drop(expectation);
    assert_eq!(roster.draw(0, true), Drawn::Ended);
}

#[test]
fn epochs_with_an_endless_source_come_again_as_they_were_whatever_it_offers_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("drawn.jsonl");
    let open = |last| Some(DrawnEpochs::open(&path, None, last).expect("readable"));
    let begin = |had, first, last: Option<Epoch>| {
        let roster = roster(had, first, open(last));
        let old = roster.add(&source("old", None), false, 0);
        listed(&roster, "old", old, 24);
        let feed = roster.add(&source("feed", Some(1.0)), true, 2);
        (roster, feed)
    };
    let (mut unbroken, feed) = begin(Had::default(), 0, None);
    let mut drawn: Vec<_> = Vec::new();
    for epoch in 0..5 {
        // Two more items each time that an epoch is drawn.
        unbroken.offer(feed, offer("feed", 0..2 * epoch as u32));
        let Drawn::Slice(lines) = unbroken.draw(epoch, true) else { panic!("there is more") };
        drawn.push((epoch, told(&lines)));
    }
    // Killed with epoch 0 committed; the feed has everything at once now.
    let mut had = Had::default();
    for id in 0..4 {
        let entry =
            Entry { sequence: id, source: "old".into(), id: id.to_string(), ..Entry::default() };
        had.note(&[Line::Read(entry.into())], id + 1);
    }
    let (mut resumed, feed) = begin(had, 1, Some(0));
    resumed.offer(feed, offer("feed", 0..12));
    let again = epochs(&mut resumed, 1);
    assert_eq!(again[..4], drawn[1..]);
    // And then it goes on: every item once, 24 + 12 in all.
    let all: Vec<_> = drawn[..1].iter().chain(&again).flat_map(|(_, lines)| lines).collect();
    let name = |line: &&String| line.split_once(' ').expect("as told").1.to_owned();
    let names: HashSet<String> = all.iter().map(name).collect();
    assert_eq!((all.len(), names.len()), (36, 36));
}
