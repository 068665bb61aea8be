//! What the catalogue is to do from an epoch on: how many workers get work, and whether epochs are
//! opened at all.
//!
//! Orders are data that take effect at an epoch. The owner's catalogue asks before it opens one;
//! whoever gives an order first has the catalogue hold (it opens nothing meanwhile, nobody else
//! waits), makes the order durable, and then enters it from the first epoch that was not opened. So
//! an order never reaches back, and it is on the disk before anything follows from it.

mod backlog;

use std::sync::{Arc, Mutex, MutexGuard};

pub use backlog::{Backlog, Follower};
use timely::dataflow::ProbeHandle;

use crate::{Epoch, route::Routing, wake::Waker};

/// What is to be done from an epoch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// So many workers get work.
    Workers(usize),
    /// As many workers get work as the backlog asks for.
    FollowBacklog,
    /// No epoch is opened.
    Pause,
    /// Epochs are opened again.
    Resume,
}

/// What holds at an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Workers that get work; `None` if that follows the backlog.
    pub workers: Option<usize>,
    /// Whether epochs wait to be opened.
    pub paused: bool,
}

/// What holds at `epoch`: of each kind the order that was given last, of those from an epoch up to
/// it. `workers` is what holds before any order.
pub fn standing(workers: usize, orders: &[(Epoch, Order)], epoch: Epoch) -> Standing {
    let mut standing = Standing { workers: Some(workers), paused: false };
    for (_, order) in orders.iter().filter(|(from, _)| *from <= epoch) {
        match *order {
            Order::Workers(workers) => standing.workers = Some(workers),
            Order::FollowBacklog => standing.workers = None,
            Order::Pause => standing.paused = true,
            Order::Resume => standing.paused = false,
        }
    }
    standing
}

/// The orders of a job and where it stands. Clones are the same plan.
#[derive(Clone)]
pub struct Plan {
    shared: Arc<Mutex<State>>,
    // Of the catalogue.
    waker: Waker,
}

struct State {
    first: Epoch,
    // The first epoch that was not opened yet.
    next: Epoch,
    // Orders are being made durable: nothing is opened meanwhile.
    holds: u32,
    workers: usize,
    most: usize,
    orders: Vec<(Epoch, Order)>,
    follower: Follower,
    routing: Routing,
}

/// Where a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The epoch that the job began with.
    pub first: Epoch,
    /// The first epoch that was not opened yet.
    pub next: Epoch,
    /// What holds there.
    pub standing: Standing,
    /// Workers that get work there.
    pub active: usize,
    /// Workers that were started.
    pub most: usize,
}

impl Plan {
    /// A plan whose first epoch is `first`. `workers` of `most` get work until an order says
    /// otherwise; orders may reach into the future.
    pub fn new(first: Epoch, workers: usize, most: usize, orders: Vec<(Epoch, Order)>) -> Self {
        let most = most.max(1);
        let workers = workers.clamp(1, most);
        let state = State {
            first,
            next: first,
            holds: 0,
            workers,
            most,
            orders,
            follower: Follower::at(workers),
            routing: Routing::to(workers),
        };
        Self { shared: Arc::new(Mutex::new(state)), waker: Waker::default() }
    }

    /// Wakes the catalogue; the catalogue attaches itself to it.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Asks whether `epoch`, the next one, may be opened, and if so takes note that it is. The
    /// catalogue is woken when the answer may have changed.
    pub fn open(&self, epoch: Epoch, backlog: Backlog) -> bool {
        let state = &mut *self.lock();
        let standing = standing(state.workers, &state.orders, epoch);
        if state.holds > 0 || standing.paused {
            return false;
        }
        let workers = match standing.workers {
            Some(workers) => {
                state.follower = Follower::at(workers);
                workers
            }
            None => {
                state.follower = state.follower.seeing(backlog, state.most);
                state.follower.workers()
            }
        };
        let workers = workers.clamp(1, state.most);
        if state.routing.workers(epoch) != workers {
            let routing = std::mem::replace(&mut state.routing, Routing::to(1));
            state.routing = routing.from(epoch, workers);
        }
        state.next = epoch + 1;
        true
    }

    /// Has the catalogue open nothing until the hold is released or dropped; the first epoch that
    /// it has not opened is the one that an order can take effect from.
    pub fn hold(&self) -> Hold<'_> {
        let mut state = self.lock();
        state.holds += 1;
        Hold { plan: self, from: state.next }
    }

    /// Where the plan stands.
    pub fn position(&self) -> Position {
        let state = self.lock();
        let standing = standing(state.workers, &state.orders, state.next);
        let active = standing.workers.unwrap_or(state.follower.workers());
        Position {
            first: state.first,
            next: state.next,
            standing,
            active: active.clamp(1, state.most),
            most: state.most,
        }
    }

    /// The worker for the entry numbered `sequence` of an epoch that was opened, and of how many.
    pub fn worker(&self, epoch: Epoch, sequence: u64) -> (u64, u64) {
        let routing = &self.lock().routing;
        (routing.worker(epoch, sequence), routing.workers(epoch) as u64)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock().expect("nothing panics while it holds the plan")
    }
}

/// While it lives no epoch is opened.
pub struct Hold<'a> {
    plan: &'a Plan,
    from: Epoch,
}

impl Hold<'_> {
    /// The epoch from which an order can take effect.
    pub fn from(&self) -> Epoch {
        self.from
    }

    /// Enters an order from that epoch on.
    pub fn enter(self, order: Order) {
        self.plan.lock().orders.push((self.from, order));
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.plan.lock().holds -= 1;
        self.plan.waker.wake();
    }
}

/// What the catalogue steers by: the plan, and how far the river has come.
pub struct Rudder {
    /// The plan.
    pub plan: Plan,
    /// Follows the weir: what it has passed waits for the learner, or was learnt.
    pub gathered: ProbeHandle<Epoch>,
}

impl Rudder {
    /// Whether `epoch` may be opened, given how far learning and gathering have come and how many
    /// epochs may be open at once.
    pub fn open(&self, epoch: Epoch, learnt: &ProbeHandle<Epoch>, in_flight: u64) -> bool {
        let first = |probe: &ProbeHandle<Epoch>| {
            probe.with_frontier(|frontier| frontier.first().copied().unwrap_or(epoch).min(epoch))
        };
        let learnt = first(learnt);
        let gathered = first(&self.gathered).max(learnt);
        let backlog = Backlog { open: epoch - learnt, waiting: gathered - learnt, in_flight };
        self.plan.open(epoch, backlog)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order() -> impl Strategy<Value = Order> {
        prop_oneof![
            (1..9usize).prop_map(Order::Workers),
            Just(Order::FollowBacklog),
            Just(Order::Pause),
            Just(Order::Resume),
        ]
    }

    const NOTHING: Backlog = Backlog { open: 0, waiting: 0, in_flight: 4 };

    proptest! {
        #[test]
        fn an_order_holds_from_its_epoch_on_and_never_before(
            orders in prop::collection::vec((0..20u64, order()), 0..12),
            given in order(),
            from in 0..20u64,
        ) {
            let mut more = orders.clone();
            more.push((from, given));
            for epoch in 0..from {
                prop_assert_eq!(standing(3, &orders, epoch), standing(3, &more, epoch));
            }
            let then = standing(3, &more, from);
            match given {
                Order::Workers(workers) => prop_assert_eq!(then.workers, Some(workers)),
                Order::FollowBacklog => prop_assert_eq!(then.workers, None),
                Order::Pause => prop_assert!(then.paused),
                Order::Resume => prop_assert!(!then.paused),
            }
        }

        #[test]
        fn a_plan_that_was_steered_live_and_one_that_is_told_everything_again_route_alike(
            steps in prop::collection::vec(prop_oneof![
                Just(None),
                (1..9usize).prop_map(|workers| Some(Order::Workers(workers))),
                Just(Some(Order::Pause)),
                Just(Some(Order::Resume)),
            ], 0..60),
        ) {
            let live = Plan::new(5, 2, 7, Vec::new());
            let (mut next, mut journal) = (5, Vec::new());
            for step in steps {
                match step {
                    None => next += u64::from(live.open(next, NOTHING)),
                    Some(order) => {
                        let hold = live.hold();
                        prop_assert_eq!(hold.from(), next);
                        journal.push((hold.from(), order));
                        hold.enter(order);
                    }
                }
            }
            // Killed, and begun again: every epoch is opened anew, each for the same workers.
            let again = Plan::new(5, 2, 7, journal);
            for epoch in 5..next {
                prop_assert!(again.open(epoch, NOTHING));
                for sequence in 0..7 {
                    prop_assert_eq!(again.worker(epoch, sequence), live.worker(epoch, sequence));
                    prop_assert!(live.worker(epoch, sequence).0 < 7);
                }
            }
            prop_assert_eq!(again.position(), live.position());
        }
    }

    #[test]
    fn while_an_order_is_made_durable_no_epoch_is_opened() {
        let plan = Plan::new(0, 2, 4, Vec::new());
        assert!(plan.open(0, NOTHING));
        let hold = plan.hold();
        assert!(!plan.open(1, NOTHING));
        hold.enter(Order::Workers(3));
        assert!(plan.open(1, NOTHING));
        // 5 mod 2, 5 mod 3
        assert_eq!([0, 1].map(|epoch| plan.worker(epoch, 5)), [(1, 2), (2, 3)]);
    }
}
