//! When the next request to a host may start.
//!
//! Pure: it is told the time and tells a time. Two starts are never closer than the delay, none
//! falls into a pause, and nobody waits longer than that.

use std::time::{Duration, Instant};

/// A host's pace.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    delay: Duration,
    // The last start, and the end of the latest pause that the host asked for.
    started: Option<Instant>,
    paused_until: Option<Instant>,
}

impl Pace {
    /// A pace of at most one start in each `delay`.
    pub fn new(delay: Duration) -> Self {
        Self { delay, started: None, paused_until: None }
    }

    /// Changes the delay, from the last start on.
    pub fn set_delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// The first moment at which a request may start; `None` if any will do.
    pub fn ready_at(&self) -> Option<Instant> {
        self.started.map(|started| started + self.delay).max(self.paused_until)
    }

    /// Starts a request now, or says when one may start.
    pub fn start(&mut self, now: Instant) -> Result<(), Instant> {
        match self.ready_at() {
            Some(ready) if now < ready => Err(ready),
            _ => {
                self.started = Some(now);
                Ok(())
            }
        }
    }

    /// Starts nothing before `until`; never shortens a pause.
    pub fn pause(&mut self, until: Instant) {
        self.paused_until = self.paused_until.max(Some(until));
    }
}

/// The delay between two starts: ours, or the site's own where that is longer.
///
/// Ours spares strangers, so a loopback host is exempt; a site's own wish holds everywhere, though
/// not beyond a minute: a page a minute is what stops being a stream.
pub fn delay(ours: Duration, loopback: bool, wished: Option<Duration>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(60);
    let ours = if loopback { Duration::ZERO } else { ours };
    ours.max(wished.unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What happens at a host, each after a number of milliseconds.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Ask(u64),
        Pause(u64, u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => (0..400u64).prop_map(Event::Ask),
            1 => (0..400u64, 0..2000u64).prop_map(|(after, length)| Event::Pause(after, length)),
        ]
    }

    proptest! {
        #[test]
        fn starts_keep_their_distance_and_leave_out_pauses_and_wait_no_longer(
            delay in 0..500u64,
            events in prop::collection::vec(event(), 1..60),
        ) {
            let delay = Duration::from_millis(delay);
            let mut pace = Pace::new(delay);
            let mut now = Instant::now();
            let mut starts: Vec<Instant> = Vec::new();
            let mut pauses: Vec<(Instant, Instant)> = Vec::new();
            for event in events {
                match event {
                    Event::Ask(after) => {
                        now += Duration::from_millis(after);
                        if let Err(ready) = pace.start(now) {
                            // It names the very moment: one tick earlier it still refuses.
                            prop_assert!(ready > now);
                            let tick = Duration::from_nanos(1);
                            prop_assert_eq!(pace.clone().start(ready - tick), Err(ready));
                            let due = starts.last().map(|last| *last + delay);
                            let paused = pauses.iter().map(|(_, end)| *end).max();
                            prop_assert_eq!(Some(ready), due.max(paused));
                            now = ready;
                            prop_assert_eq!(pace.start(now), Ok(()));
                        }
                        starts.push(now);
                    }
                    Event::Pause(after, length) => {
                        now += Duration::from_millis(after);
                        let until = now + Duration::from_millis(length);
                        pauses.push((now, until));
                        pace.pause(until);
                    }
                }
            }
            for pair in starts.windows(2) {
                prop_assert!(pair[1] - pair[0] >= delay);
            }
            for start in starts {
                prop_assert!(pauses.iter().all(|(from, to)| start <= *from || start >= *to));
            }
        }
    }

    #[test]
    fn the_longer_delay_holds_and_loopback_is_exempt_from_ours_only() {
        let seconds = Duration::from_secs;
        assert_eq!(delay(seconds(1), false, None), seconds(1));
        assert_eq!(delay(seconds(1), false, Some(seconds(10))), seconds(10));
        assert_eq!(delay(seconds(3), false, Some(seconds(2))), seconds(3));
        assert_eq!(delay(seconds(1), true, None), Duration::ZERO);
        assert_eq!(delay(seconds(1), true, Some(seconds(2))), seconds(2));
        assert_eq!(delay(seconds(1), false, Some(seconds(86_400))), seconds(60));
    }
}
