//! Whether to try again, and when.
//!
//! Pure: what is a final answer and what may go better next time, how long to wait (exponential
//! backoff with full jitter, see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015),
//! and when to give up.

use std::time::{Duration, SystemTime};

use super::trouble::{Failure, Refusal};

/// What an HTTP status means to one who wants the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The page is in the body.
    Page,
    /// The page that is known already has not changed.
    NotModified,
    /// The page is elsewhere.
    Elsewhere,
    /// It may go better next time.
    Transient,
    /// The final word.
    Final,
}

/// Sorts an HTTP status. Success without a whole page (204, 206) is no page either.
pub fn meaning(status: u16) -> Meaning {
    match status {
        200 | 203 => Meaning::Page,
        304 => Meaning::NotModified,
        301 | 302 | 303 | 307 | 308 => Meaning::Elsewhere,
        // 408 and 425 are about the request's timing, 429 about its rate.
        408 | 425 | 429 | 500..=599 => Meaning::Transient,
        _ => Meaning::Final,
    }
}

/// Reads the value of `Retry-After` (RFC 9110, 10.2.3), seconds or a date, as a wait from `now`.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit mean for ever.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// How long an entry is tried for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How many tries at most.
    pub tries: u32,
    /// How much time the tries and the waits between them may take.
    pub deadline: Duration,
    /// The longest wait after the first failure; it doubles with each further one.
    pub backoff: Duration,
    /// No wait drawn by us is longer.
    pub backoff_limit: Duration,
}

/// What has been spent on one entry. Waiting for one's turn at a busy host costs nothing: a
/// deadline that counted it would reject entries for the length of the queue before them.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    patience: Patience,
    tries: u32,
    spent: Duration,
}

impl Effort {
    /// Nothing spent yet.
    pub fn new(patience: Patience) -> Self {
        Self { patience, tries: 0, spent: Duration::ZERO }
    }

    /// Counts time that a request took.
    pub fn spend(&mut self, took: Duration) {
        self.spent += took;
    }

    /// How much time is left until the deadline.
    pub fn left(&self) -> Duration {
        self.patience.deadline.saturating_sub(self.spent)
    }

    /// How long to wait after a failed try, counted as spent; or that it was the last one.
    ///
    /// The server's `Retry-After` is the least wait; `jitter`, from 0 to 1, draws ours.
    pub fn fail(
        &mut self,
        failure: Failure,
        asked_for: Option<Duration>,
        jitter: f64,
    ) -> Result<Duration, Refusal> {
        self.tries += 1;
        let Patience { backoff, backoff_limit, .. } = self.patience;
        let doubled = backoff.saturating_mul(1_u32.checked_shl(self.tries - 1).unwrap_or(u32::MAX));
        let drawn = doubled.min(backoff_limit).mul_f64(jitter);
        let wait = drawn.max(asked_for.unwrap_or_default());
        if self.tries >= self.patience.tries || wait >= self.left() {
            return Err(Refusal::GaveUp { tries: self.tries, last: failure });
        }
        self.spent += wait;
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Patience = Patience {
        tries: 5,
        deadline: Duration::from_secs(100),
        backoff: Duration::from_secs(2),
        backoff_limit: Duration::from_secs(10),
    };

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn the_servers_trouble_is_tried_again_and_the_clients_is_not() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(meaning(status), Meaning::Transient, "{status}");
        }
        for status in [204, 206, 300, 305, 400, 401, 403, 404, 410, 418, 451, 600] {
            assert_eq!(meaning(status), Meaning::Final, "{status}");
        }
        assert_eq!([200, 203].map(meaning), [Meaning::Page; 2]);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").expect("a date");
        assert_eq!(retry_after("120", now), Some(seconds(120)));
        assert_eq!(retry_after(" 0 ", now), Some(Duration::ZERO));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:45 GMT", now), Some(seconds(45)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:27:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("99999999999999999999", now), Some(seconds(4_294_967_295)));
        for nonsense in ["", "soon", "-1", "1.5", "+1", "21 Oct"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense:?}");
        }
    }

    #[test]
    fn waits_double_up_to_their_limit_and_the_last_try_ends_them() {
        let mut effort = Effort::new(PATIENCE);
        let mut wait = || effort.fail(Failure::Timeout, None, 1.0);
        // 2, 4, 8, then 16 cut to 10; the fifth try is the last.
        assert_eq!(
            [wait(), wait(), wait(), wait()],
            [2, 4, 8, 10].map(|number| Ok(seconds(number)))
        );
        assert_eq!(wait(), Err(Refusal::GaveUp { tries: 5, last: Failure::Timeout }));
    }

    #[test]
    fn a_wait_beyond_the_deadline_is_not_begun() {
        let mut effort = Effort::new(PATIENCE);
        effort.spend(seconds(60));
        assert_eq!(effort.fail(Failure::Status(503), Some(seconds(30)), 0.5), Ok(seconds(30)));
        // 60 and 30 of 100 are spent: 10 more would end at the deadline itself.
        let refused = effort.fail(Failure::Status(503), Some(seconds(10)), 0.5);
        assert_eq!(refused, Err(Refusal::GaveUp { tries: 2, last: Failure::Status(503) }));
    }

    proptest! {
        #[test]
        fn no_effort_outlasts_its_tries_or_its_deadline(
            steps in prop::collection::vec((0..30_000u64, prop::option::of(0..60u64), 0.0..1.0f64), 1..40),
        ) {
            let mut effort = Effort::new(PATIENCE);
            let (mut tries, mut waited) = (0, Duration::ZERO);
            for (took, asked_for, jitter) in steps {
                let took = Duration::from_millis(took).min(effort.left());
                effort.spend(took);
                waited += took;
                tries += 1;
                match effort.fail(Failure::Timeout, asked_for.map(seconds), jitter) {
                    Ok(wait) => {
                        prop_assert!(wait >= seconds(asked_for.unwrap_or(0)));
                        waited += wait;
                    }
                    Err(refusal) => {
                        prop_assert_eq!(refusal, Refusal::GaveUp { tries, last: Failure::Timeout });
                        break;
                    }
                }
            }
            prop_assert!(tries <= PATIENCE.tries);
            prop_assert!(waited <= PATIENCE.deadline);
        }
    }
}
