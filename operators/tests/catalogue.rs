//! The operator: what becomes of a listing.

use std::sync::{Arc, atomic::AtomicBool, mpsc};

use operators::{
    Batches, Epoch,
    batch::Builder,
    catalogue::{
        Draw, Line, Listing, Slicing, catalogue,
        mixture::{Drawn, Mixture, Part},
    },
    record::{Entry, Record, Stage},
    steer::{Plan, Rudder},
    wake::Waker,
};
use timely::{
    container::DrainContainer,
    dataflow::{
        ProbeHandle,
        channels::pact::Pipeline,
        operators::{Probe, generic::Operator},
    },
};

/// What came out: the epoch that it came out at, its sequence number, and who rejected it and why.
type Outcome = (Epoch, u64, Option<(Stage, String)>);

fn tell<'scope, R: Record>(
    stream: Batches<'scope, R>,
    outcomes: mpsc::Sender<Outcome>,
    read: impl Fn(R::Row<'_>) -> (u64, Option<(Stage, String)>) + 'static,
) -> Batches<'scope, R> {
    stream.unary::<Builder<R>, _, _, _>(Pipeline, "Tell", |_, _| {
        move |input, output| {
            input.for_each(|capability, batches| {
                let epoch = *capability.least().expect("batches have an epoch");
                for batch in batches.drain() {
                    for (sequence, reason) in batch.iter().map(&read) {
                        outcomes.send((epoch, sequence, reason)).expect("the test listens");
                    }
                    output.session(&capability).give(batch);
                }
            });
        }
    })
}

/// A listing of one source that has it all.
struct Lines(Mixture<Line>, u64);

impl Draw for Lines {
    fn draw(&mut self, epoch: Epoch, idle: bool) -> Drawn<Line> {
        let drawn = self.0.draw(epoch, self.1, idle);
        if let Drawn::Slice(slice) = &drawn {
            self.1 += slice.len() as u64;
        }
        drawn
    }
}

#[test]
fn every_line_of_the_listing_is_an_entry_or_a_reject_in_the_epoch_of_its_place() {
    let lines = (0..10).map(|sequence| {
        let entry = Arc::new(Entry { sequence, ..Entry::default() });
        match sequence % 3 {
            0 => Line::Read(entry),
            1 => Line::Unusable(entry, format!("line {sequence}")),
            _ => Line::Withdrawn(entry),
        }
    });
    let mut mixture = Mixture::new(1, 2);
    let source = mixture.add(Part { weight: None, from: 0, is_endless: false });
    mixture.offer(source, lines);
    mixture.end(source);
    let (outcomes, came_out) = mpsc::channel();
    timely::execute_directly(move |worker| {
        let learnt = worker.dataflow(|scope| {
            let learnt = ProbeHandle::new();
            let drain = Arc::new(AtomicBool::new(false));
            let draw = Box::new(Lines(mixture, 0));
            let listing = Listing { draw, waker: Waker::default(), drain };
            let waker = listing.waker.clone();
            // More epochs than may be open at once: the first must be seen to end for the last.
            let slicing = Slicing { first: 5, in_flight: 2 };
            let plan = Plan::new(5, 1, 1, Vec::new());
            let rudder = Rudder { plan, gathered: ProbeHandle::new() };
            let (entries, rejects) = catalogue(scope, Some(listing), slicing, &learnt, rudder);
            let entries = tell(entries, outcomes.clone(), |entry| (entry.sequence, None));
            let rejects = tell(rejects, outcomes, |reject| {
                (reject.entry.sequence, Some((reject.stage, reject.reason.to_owned())))
            });
            entries.probe_with(&learnt);
            rejects.probe_with(&learnt);
            (learnt, waker)
        });
        let (learnt, waker) = learnt;
        while !learnt.done() {
            worker.step();
            waker.wake();
        }
    });
    let mut all: Vec<Outcome> = came_out.iter().collect();
    all.sort_unstable();
    // Ten lines in slices of two, numbered from 5.
    let reject = |sequence| match sequence % 3 {
        0 => None,
        1 => Some((Stage::Catalogue, format!("line {sequence}"))),
        _ => Some((Stage::Withdraw, "the library has it no more".to_owned())),
    };
    let expected: Vec<Outcome> =
        (0..10).map(|sequence| (5 + sequence / 2, sequence, reject(sequence))).collect();
    assert_eq!(all, expected);
}
