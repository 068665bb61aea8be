//! Early stopping: when a job ends before its catalogue does.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::JobError;

/// When a job ends before its catalogue does; 0 means never. It ends with a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// Scores in a row without a better one. Of several models, the last one's patience counts.
    pub patience: u64,
    /// Steps of the model that has taken the most.
    pub after_steps: u64,
    /// Chunks.
    pub after_chunks: u64,
    /// Seconds of training, over all processes that have run the job.
    pub after_seconds: f64,
}

/// How far a run has come, as far as stopping asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    /// Scores since the best, of the model for which they are fewest; none if no model is left.
    pub since_best: Option<u64>,
    /// Steps of the model that has taken the most.
    pub steps: u64,
    /// Chunks learnt.
    pub chunks: u64,
    /// Seconds of training.
    pub seconds: f64,
}

/// Why a job has ended before its catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// So many scores on the held-out documents brought nothing better.
    Patience(u64),
    /// So many steps were taken.
    Steps(u64),
    /// So many chunks were learnt.
    Chunks(u64),
    /// It has trained for so many seconds.
    Seconds(f64),
    /// Every model was set aside.
    NoModelLeft,
}

impl Stop {
    /// Whether the job is to end, and why.
    pub fn reason(&self, reached: &Reached) -> Option<Stopped> {
        let Some(since_best) = reached.since_best else { return Some(Stopped::NoModelLeft) };
        let is_over = |limit: u64, reached: u64| limit > 0 && reached >= limit;
        if is_over(self.patience, since_best) {
            Some(Stopped::Patience(since_best))
        } else if is_over(self.after_steps, reached.steps) {
            Some(Stopped::Steps(reached.steps))
        } else if is_over(self.after_chunks, reached.chunks) {
            Some(Stopped::Chunks(reached.chunks))
        } else if self.after_seconds > 0.0 && reached.seconds >= self.after_seconds {
            Some(Stopped::Seconds(reached.seconds))
        } else {
            None
        }
    }

    /// Refuses what cannot be meant.
    pub(super) fn check(&self) -> Result<(), JobError> {
        if (0.0..=1e9).contains(&self.after_seconds) {
            return Ok(());
        }
        let advice = "use seconds from 0 to 1000000000; 0 means never";
        Err(JobError::senseless("stop.after_seconds", &self.after_seconds, advice))
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Patience(scores) => write!(f, "{scores} scores in a row brought nothing better"),
            Self::Steps(steps) => write!(f, "{steps} steps were taken"),
            Self::Chunks(chunks) => write!(f, "{chunks} chunks were learnt"),
            Self::Seconds(seconds) => write!(f, "it has trained for {seconds:.0} s"),
            Self::NoModelLeft => f.write_str("every model was set aside"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_reached_ends_the_job_and_none_does_not() {
        let reached = Reached { since_best: Some(3), steps: 100, chunks: 9, seconds: 5.0 };
        assert_eq!(Stop::default().reason(&reached), None);
        let limits = [
            (Stop { patience: 3, ..Stop::default() }, Some(Stopped::Patience(3))),
            (Stop { patience: 4, ..Stop::default() }, None),
            (Stop { after_steps: 100, ..Stop::default() }, Some(Stopped::Steps(100))),
            (Stop { after_steps: 101, ..Stop::default() }, None),
            (Stop { after_chunks: 8, ..Stop::default() }, Some(Stopped::Chunks(9))),
            (Stop { after_chunks: 10, ..Stop::default() }, None),
            (Stop { after_seconds: 5.0, ..Stop::default() }, Some(Stopped::Seconds(5.0))),
            (Stop { after_seconds: 5.1, ..Stop::default() }, None),
        ];
        for (stop, expected) in limits {
            assert_eq!(stop.reason(&reached), expected, "{stop:?}");
        }
        let nobody = Reached { since_best: None, ..reached };
        assert_eq!(Stop::default().reason(&nobody), Some(Stopped::NoModelLeft));
    }
}
