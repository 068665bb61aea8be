//! The sink: hands lessons to the learner in order and holds each epoch open until it was learnt.
//!
//! The learner is a thread of its own, reached over a bounded channel; this operator never waits
//! for it, so its worker goes on with other stages. An epoch's capability is kept until the learner
//! has acknowledged the epoch: the frontier of the output means *learnt*. A learner that fails
//! never acknowledges, so an error never looks like progress.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use timely::{
    container::{CapacityContainerBuilder, DrainContainer},
    dataflow::{
        Stream,
        channels::pact::{ExchangeCore, Pipeline},
        operators::{Capability, Operator},
    },
};

use crate::{
    Batches, Epoch,
    batch::{Batch, Builder},
    frontier::{Frontier, Stash},
    record::{Lesson, Reject},
    wake::Waker,
};

/// The sink's side of the two channels between it and the learner.
pub struct Desk {
    /// To the learner. After `Lesson::Ended` it is hung up; if the sink is stopped before that, it
    /// is hung up without it.
    pub lessons: Sender<Lesson>,
    /// From the learner: epochs, ascending, each after its `Lesson::Closed`.
    pub learnt: Receiver<Epoch>,
    /// To be woken by the learner when it has taken a lesson or acknowledged an epoch.
    pub waker: Waker,
}

/// The stage.
pub trait Train<'scope> {
    /// Nothing but a frontier: what it has passed was learnt. `desk` is `Some` on worker `owner`.
    fn train(
        self,
        rejects: Batches<'scope, Reject>,
        owner: u64,
        desk: Option<Desk>,
    ) -> Stream<'scope, Epoch, Vec<Epoch>>;
}

impl<'scope> Train<'scope> for Stream<'scope, Epoch, Vec<Lesson>> {
    fn train(
        self,
        rejects: Batches<'scope, Reject>,
        owner: u64,
        mut desk: Option<Desk>,
    ) -> Stream<'scope, Epoch, Vec<Epoch>> {
        let scope = self.scope();
        let to_owner = ExchangeCore::<Builder<Reject>, _>::new(move |_: &Batch<Reject>| owner);
        self.binary_frontier::<_, CapacityContainerBuilder<Vec<Epoch>>, _, _, _, _>(
            rejects,
            Pipeline,
            to_owner,
            "Train",
            |_, info| {
                if let Some(desk) = &desk {
                    desk.waker.attach(scope.worker().sync_activator_for(info.address.to_vec()));
                }
                // Lessons and rejects of epochs that are still open.
                let mut waiting = Stash::<(Vec<Lesson>, Vec<Batch<Reject>>)>::default();
                // Lessons of closed epochs that the channel has had no room for.
                let mut queue = VecDeque::new();
                // Epochs handed over or queued, until they were learnt.
                let mut held: VecDeque<Capability<Epoch>> = VecDeque::new();
                move |(lessons, lessons_frontier), (rejects, rejects_frontier), output| {
                    let port = output.output_index();
                    lessons.for_each(|capability, data| {
                        if let Some(kept) = capability.retain_least(port) {
                            waiting.at(kept).0.append(data);
                        }
                    });
                    rejects.for_each(|capability, data| {
                        if let Some(kept) = capability.retain_least(port) {
                            waiting.at(kept).1.extend(data.drain());
                        }
                    });
                    let is_closed = |epoch| {
                        lessons_frontier.is_closed(epoch) && rejects_frontier.is_closed(epoch)
                    };
                    while let Some((capability, (lessons, rejects))) = waiting.closed(is_closed) {
                        queue.extend(lessons);
                        queue.push_back(Lesson::Closed(*capability.time(), rejects));
                        held.push_back(capability);
                    }
                    if let Some(desk) = &desk {
                        hand_over(&mut queue, &desk.lessons);
                        release(&mut held, &desk.learnt);
                    }
                    let ended = lessons_frontier.is_empty() && rejects_frontier.is_empty();
                    let ended = ended && queue.is_empty() && held.is_empty();
                    if let Some(desk) = desk.take_if(|_| ended) {
                        // All lessons were learnt, so there is room; or the learner has gone.
                        let _the_learner_has_gone = desk.lessons.try_send(Lesson::Ended);
                    }
                }
            },
        )
    }
}

fn hand_over(queue: &mut VecDeque<Lesson>, lessons: &Sender<Lesson>) {
    while let Some(lesson) = queue.pop_front() {
        match lessons.try_send(lesson) {
            Ok(()) => {}
            // A learner that has gone leaves its epochs open for good; the runner says why.
            Err(TrySendError::Full(lesson) | TrySendError::Disconnected(lesson)) => {
                return queue.push_front(lesson);
            }
        }
    }
}

fn release(held: &mut VecDeque<Capability<Epoch>>, learnt: &Receiver<Epoch>) {
    while let Ok(epoch) = learnt.try_recv() {
        let oldest = held.pop_front().expect("only epochs that were handed over are learnt");
        assert_eq!(*oldest.time(), epoch, "epochs are learnt in order");
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{bounded, unbounded};
    use timely::dataflow::operators::{Probe, core::Input};

    use super::*;
    use crate::record::Chunk;

    fn chunk(number: u64) -> Lesson {
        Lesson::Chunk(Chunk::new(number, vec![1, 2, 3].into(), 257))
    }

    fn told(lesson: &Lesson) -> String {
        match lesson {
            Lesson::Chunk(chunk) => format!("chunk {}", chunk.number),
            Lesson::Closed(epoch, rejects) => format!("closed {epoch}, {} rejects", rejects.len()),
            Lesson::Read(_) => "read".to_owned(),
            Lesson::Ended => "ended".to_owned(),
        }
    }

    #[test]
    fn an_epoch_stays_open_until_it_was_learnt_and_lessons_come_in_order() {
        timely::execute_directly(|worker| {
            // Room for one lesson: the sink must wait without blocking its worker.
            let (to_learner, lessons) = bounded(1);
            let (acknowledge, learnt) = unbounded();
            let waker = Waker::default();
            let desk = Desk { lessons: to_learner, learnt, waker: waker.clone() };
            let (mut input, mut rejects, probe) = worker.dataflow(|scope| {
                let (input, lessons) = scope.new_input::<Vec<Lesson>>();
                let (rejects, rejected) = scope.new_input_with_builder::<Builder<Reject>>();
                let (probe, _) = lessons.train(rejected, 0, Some(desk)).probe();
                (input, rejects, probe)
            });
            input.send(chunk(0));
            input.send(chunk(1));
            input.advance_to(1);
            rejects.advance_to(1);
            input.flush();
            rejects.flush();

            let mut heard = Vec::new();
            while heard.len() < 3 {
                worker.step();
                heard.extend(lessons.try_iter().map(|lesson| told(&lesson)));
                waker.wake();
            }
            assert_eq!(heard, ["chunk 0", "chunk 1", "closed 0, 0 rejects"]);
            // Everything was handed over and nothing acknowledged: that is not learnt.
            (0..100).for_each(|_| {
                worker.step();
            });
            assert!(probe.less_equal(&0));
            acknowledge.send(0).expect("the sink listens");
            waker.wake();
            worker.step_while(|| probe.less_equal(&0));

            // And when everything has ended, the learner hears it: no later than anybody.
            input.close();
            rejects.close();
            worker.step_while(|| !probe.done());
            assert_eq!(lessons.iter().map(|lesson| told(&lesson)).collect::<Vec<_>>(), ["ended"]);
        });
    }

    #[test]
    fn a_sink_that_is_stopped_hangs_up_without_a_word() {
        timely::execute_directly(|worker| {
            let (to_learner, lessons) = bounded(8);
            let (_acknowledge, learnt) = unbounded();
            let desk = Desk { lessons: to_learner, learnt, waker: Waker::default() };
            let (mut input, _rejects) = worker.dataflow(|scope| {
                let (input, lessons) = scope.new_input::<Vec<Lesson>>();
                let (rejects, rejected) = scope.new_input_with_builder::<Builder<Reject>>();
                lessons.train(rejected, 0, Some(desk));
                (input, rejects)
            });
            input.send(chunk(0));
            input.flush();
            worker.step();
            for dataflow in worker.installed_dataflows() {
                worker.drop_dataflow(dataflow);
            }
            assert_eq!(lessons.iter().map(|lesson| told(&lesson)).collect::<Vec<_>>(), [""; 0]);
        });
    }
}
