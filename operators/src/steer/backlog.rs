//! How many workers the backlog asks for: a decision that is pure, and slow to change its mind.

/// How much of what is open waits for the learner, as the catalogue is about to open an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Epochs that are open.
    pub open: u64,
    /// Those of them that were read whole and wait for the learner.
    pub waiting: u64,
    /// Epochs that may be open at once.
    pub in_flight: u64,
}

/// What a backlog says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The learner waits for the readers.
    More,
    /// The readers are so far ahead that they wait for the learner.
    Fewer,
    /// Neither.
    Enough,
}

impl Backlog {
    fn verdict(self) -> Verdict {
        // Until the river is as full as it may be, nothing can be said of who waits for whom.
        if self.in_flight < 2 || self.open + 1 < self.in_flight {
            return Verdict::Enough;
        }
        match self.waiting {
            0 => Verdict::More,
            waiting if waiting + 1 >= self.in_flight => Verdict::Fewer,
            _ => Verdict::Enough,
        }
    }
}

/// A number of workers that follows the backlog by one worker at a time, each after the same verdict
/// was seen `PATIENCE` times running: so that a slow page or a commit does not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    workers: usize,
    // What was seen last, and how often running.
    verdict: Verdict,
    seen: u32,
}

/// Epochs in a row with the same verdict before the number of workers changes.
pub const PATIENCE: u32 = 4;

impl Follower {
    /// One that has seen nothing yet.
    pub fn at(workers: usize) -> Self {
        Self { workers: workers.max(1), verdict: Verdict::Enough, seen: 0 }
    }

    /// How many workers are to get work.
    pub fn workers(self) -> usize {
        self.workers
    }

    /// After one look more, at an epoch that is about to be opened; never more than `most` workers.
    #[must_use]
    pub fn seeing(self, backlog: Backlog, most: usize) -> Self {
        let verdict = backlog.verdict();
        let seen = if verdict == self.verdict { self.seen + 1 } else { 1 };
        if verdict == Verdict::Enough || seen < PATIENCE {
            return Self { verdict, seen, ..self };
        }
        let workers = match verdict {
            Verdict::More => (self.workers + 1).min(most),
            _ => self.workers.saturating_sub(1),
        };
        Self::at(workers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHORT: Backlog = Backlog { open: 3, waiting: 0, in_flight: 4 };
    const LONG: Backlog = Backlog { open: 3, waiting: 3, in_flight: 4 };

    fn after(begin: usize, backlogs: &[Backlog]) -> usize {
        let see = |follower: Follower, backlog: &Backlog| follower.seeing(*backlog, 5);
        backlogs.iter().fold(Follower::at(begin), see).workers()
    }

    #[test]
    fn it_takes_a_row_of_equal_verdicts_to_move_by_one() {
        assert_eq!(after(2, &[SHORT; 3]), 2);
        assert_eq!(after(2, &[SHORT; 4]), 3);
        assert_eq!(after(2, &[SHORT; 7]), 3);
        assert_eq!(after(2, &[SHORT; 8]), 4);
        assert_eq!(after(3, &[LONG; 4]), 2);
        // A look of another kind begins the row anew.
        assert_eq!(after(2, &[SHORT, SHORT, SHORT, LONG, SHORT, SHORT, SHORT]), 2);
    }

    #[test]
    fn a_river_that_is_not_full_or_cannot_be_says_nothing() {
        let filling = Backlog { open: 1, waiting: 0, in_flight: 4 };
        let single = Backlog { open: 0, waiting: 0, in_flight: 1 };
        let between = Backlog { open: 3, waiting: 1, in_flight: 4 };
        for backlog in [filling, single, between] {
            assert_eq!(after(2, &[backlog; 40]), 2, "{backlog:?}");
        }
    }

    proptest! {
        #[test]
        fn the_number_stays_between_one_and_the_most_and_moves_by_one(
            begin in 1..6usize,
            looks in prop::collection::vec((0..8u64, 0..8u64, 1..8u64), 0..60),
        ) {
            let mut follower = Follower::at(begin);
            for (open, waiting, in_flight) in looks {
                let before = follower.workers();
                follower = follower.seeing(Backlog { open, waiting, in_flight }, 5);
                prop_assert!((1..=5).contains(&follower.workers()));
                prop_assert!(follower.workers().abs_diff(before) <= 1);
            }
        }
    }
}
