//! How often something is done: every so many chunks, steps or seconds.
//!
//! Written as `"10 chunks"`, `"500 steps"`, `"60 s"` or `"never"`. It is looked at between chunks, so
//! steps are crossed rather than met. What may change weights never hangs on seconds.

use std::{fmt, str::FromStr, time::Instant};

use serde::{Deserialize, Serialize};

/// How often something is done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Trigger {
    /// Not before the end.
    Never,
    /// Whenever so many chunks more were learnt, counted over the life of the run.
    Chunks(u64),
    /// Whenever so many steps more were taken, counted over the life of the run.
    Steps(u64),
    /// Whenever so many seconds have passed, in this process; 0 means every time.
    Seconds(f64),
}

/// Where a run stands.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Chunks learnt.
    pub chunks: u64,
    /// Steps taken.
    pub steps: u64,
    /// When that is.
    pub at: Instant,
}

impl Trigger {
    /// Whether it is time again: `since` is when it last was, or when this process began.
    pub fn is_due(self, since: Moment, now: Moment) -> bool {
        // A resumed run begins between two multiples, so it crosses the same ones.
        let crossed = |every: u64, since: u64, now: u64| now / every > since / every;
        match self {
            Self::Never => false,
            Self::Chunks(every) => crossed(every, since.chunks, now.chunks),
            Self::Steps(every) => crossed(every, since.steps, now.steps),
            Self::Seconds(every) => now.at.duration_since(since.at).as_secs_f64() >= every,
        }
    }
}

/// What a trigger may be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write it as \"10 chunks\", \"500 steps\", \"60 s\" or \"never\"")]
pub struct NoTrigger;

impl FromStr for Trigger {
    type Err = NoTrigger;

    fn from_str(text: &str) -> Result<Self, NoTrigger> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let (number, unit) = text.split_once(' ').ok_or(NoTrigger)?;
        // As people write it: no sign, no exponent, and nothing that is not a number.
        if !number.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(NoTrigger);
        }
        let whole = || number.parse().ok().filter(|&count: &u64| count > 0).ok_or(NoTrigger);
        match unit {
            "chunk" | "chunks" => whole().map(Self::Chunks),
            "step" | "steps" => whole().map(Self::Steps),
            "s" => {
                let seconds = number.parse().ok().filter(|seconds| (0.0..=1e9).contains(seconds));
                seconds.map(Self::Seconds).ok_or(NoTrigger)
            }
            _ => Err(NoTrigger),
        }
    }
}

impl TryFrom<String> for Trigger {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|error: NoTrigger| format!("`{text}` is no trigger; {error}"))
    }
}

impl From<Trigger> for String {
    fn from(trigger: Trigger) -> Self {
        trigger.to_string()
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Chunks(1) => f.write_str("1 chunk"),
            Self::Chunks(every) => write!(f, "{every} chunks"),
            Self::Steps(1) => f.write_str("1 step"),
            Self::Steps(every) => write!(f, "{every} steps"),
            Self::Seconds(every) => write!(f, "{every} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        for text in ["never", "1 chunk", "10 chunks", "1 step", "500 steps", "60 s", "0.5 s", "0 s"]
        {
            let trigger: Trigger = text.parse().expect(text);
            assert_eq!(trigger.to_string(), text);
        }
        for text in [
            "",
            "10",
            "chunks",
            "0 chunks",
            "0 steps",
            "-1 s",
            "1e3 s x",
            "10  s",
            " 10 s",
            "10 s ",
            "1.5 chunks",
            "inf s",
            "nan s",
            "+3 steps",
            "10 Chunks",
            "10 seconds",
            "Never",
            "99e99 s",
        ] {
            assert!(text.parse::<Trigger>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_multiple_is_met_once_however_often_the_run_begins_anew() {
        let at = Instant::now();
        let moment = |chunks| Moment { chunks, steps: chunks * 7, at };
        // Steps come in sevens: 10, 20, … 70 are crossed at 14, 21, 35, 42, 56, 63 and 70, that is
        // by chunks 2, 3, 5, 6, 8, 9 and 10.
        for (trigger, expected) in [
            (Trigger::Steps(10), &[2, 3, 5, 6, 8, 9, 10][..]),
            (Trigger::Chunks(4), &[4, 8]),
            (Trigger::Never, &[]),
        ] {
            for resumed in 0..10 {
                let (mut since, mut met) = (moment(0), Vec::new());
                for chunk in 1..=10 {
                    if trigger.is_due(since, moment(chunk)) {
                        met.push(chunk);
                        since = moment(chunk);
                    }
                    if chunk == resumed {
                        since = moment(chunk);
                    }
                }
                assert_eq!(met, expected, "{trigger}, resumed after {resumed}");
            }
        }
        let later = Moment { at: at + Duration::from_secs(60), ..moment(0) };
        let due = |every| Trigger::Seconds(every).is_due(moment(0), later);
        assert_eq!([0.0, 60.0, 60.5].map(due), [true, true, false]);
    }
}
