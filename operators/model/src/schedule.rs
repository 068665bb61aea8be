//! The learning rate as a pure function of two numbers, the step and the step of the last re-warm:
//! there is nothing to save but the latter.
//!
//! The rate climbs linearly to its peak over the steps of the warm-up (Goyal et al. 2017), and then
//! decays. A re-warm begins both anew: the cure for a model that goes on learning from a new source
//! (Ibrahim et al. 2024, who re-warm and re-decay).

use serde::{Deserialize, Serialize};

use crate::Error;

/// How the rate falls once the warm-up is over. `t` is the number of steps since then; every formula
/// gives a share of the peak, 1 at `t` = 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decay {
    /// Not at all.
    Constant,
    /// rate ^ ⌊t / steps⌋: falls at once, every so many steps.
    Step {
        /// Steps from one fall to the next.
        steps: u64,
        /// What the rate is multiplied by at each.
        rate: f64,
    },
    /// rate ^ (t / steps): the same, smoothly.
    Exponential {
        /// Steps after which the rate has been multiplied by `rate` once.
        steps: u64,
        /// What the rate is multiplied by in that time.
        rate: f64,
    },
    /// f + (1 - f) (1 - t / steps) ^ power, f being the final share, which it stays at.
    Polynomial {
        /// Steps until the final share is reached.
        steps: u64,
        /// 1 is a straight line.
        power: f64,
    },
    /// f + (1 - f) (1 + cos(π t / steps)) / 2 (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// Steps until the final share is reached.
        steps: u64,
    },
    /// √(steps / (steps + t)): never reaches an end, so it fits a stream without one. With `steps`
    /// equal to the warm-up it is that of Vaswani et al. 2017.
    InverseSquareRoot {
        /// The rate is half of its peak after three times as many.
        steps: u64,
    },
}

/// The learning rate of each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// Steps of the warm-up; 0 for none.
    pub warm_up: u64,
    /// How the rate falls afterwards.
    pub decay: Decay,
    /// The share of the peak that the decay ends at, or stops at.
    pub final_share: f64,
}

/// As checkpoints have it: those of version 0.1's first days know a constant rate only.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Whole { peak: f64, warm_up: u64, decay: Decay, final_share: f64 },
    Constant { constant: f64 },
}

impl From<Written> for Schedule {
    fn from(written: Written) -> Schedule {
        match written {
            Written::Whole { peak, warm_up, decay, final_share } => {
                Schedule { peak, warm_up, decay, final_share }
            }
            Written::Constant { constant } => Schedule::constant(constant),
        }
    }
}

impl Schedule {
    /// The same rate at every step.
    pub fn constant(rate: f64) -> Schedule {
        Schedule { peak: rate, warm_up: 0, decay: Decay::Constant, final_share: 0.0 }
    }

    /// The rate of step `step`, counted from 1. `rewarmed` is how many steps had been taken at the
    /// last re-warm, 0 if there was none.
    pub fn rate(self, step: u64, rewarmed: u64) -> f64 {
        let since = step.saturating_sub(rewarmed);
        if since < self.warm_up {
            return self.peak * (since as f64 / self.warm_up as f64);
        }
        self.peak * self.share(since - self.warm_up)
    }

    /// The share of the peak, `t` steps after the warm-up.
    fn share(self, t: u64) -> f64 {
        let floor = self.final_share;
        let through = |steps: u64| (t as f64 / steps as f64).min(1.0);
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Step { steps, rate } => rate.powf((t / steps) as f64).max(floor),
            Decay::Exponential { steps, rate } => rate.powf(t as f64 / steps as f64).max(floor),
            Decay::Polynomial { steps, power } => {
                floor + (1.0 - floor) * (1.0 - through(steps)).powf(power)
            }
            Decay::Cosine { steps } => {
                let half = (1.0 + (std::f64::consts::PI * through(steps)).cos()) / 2.0;
                floor + (1.0 - floor) * half
            }
            Decay::InverseSquareRoot { steps } => {
                (steps as f64 / (steps as f64 + t as f64)).sqrt().max(floor)
            }
        }
    }

    /// Refuses rates that learn nothing or in the wrong direction.
    pub fn check(self) -> Result<(), Error> {
        let refuse = |name, found: &dyn ToString, advice| {
            Err(Error::Setting { name, found: found.to_string(), advice })
        };
        if !(self.peak.is_finite() && self.peak > 0.0) {
            return refuse("train.learning_rate", &self.peak, "use a value above 0");
        }
        if !(0.0..=1.0).contains(&self.final_share) {
            return refuse("train.final_share", &self.final_share, "use a share from 0 to 1");
        }
        let (steps, rate, power) = match self.decay {
            Decay::Constant => (1, 1.0, 1.0),
            Decay::Step { steps, rate } | Decay::Exponential { steps, rate } => (steps, rate, 1.0),
            Decay::Polynomial { steps, power } => (steps, 1.0, power),
            Decay::Cosine { steps } | Decay::InverseSquareRoot { steps } => (steps, 1.0, 1.0),
        };
        if steps == 0 {
            return refuse("train.decay_steps", &steps, "use 1 or more");
        }
        if !(rate > 0.0 && rate <= 1.0) {
            return refuse("train.decay_rate", &rate, "use a value above 0, up to 1");
        }
        if !(power > 0.0 && power.is_finite()) {
            return refuse("train.decay_power", &power, "use a value above 0");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedules() -> impl Strategy<Value = Schedule> {
        let decay = prop_oneof![
            Just(Decay::Constant),
            (1u64..500, 0.01..1.0).prop_map(|(steps, rate)| Decay::Step { steps, rate }),
            (1u64..500, 0.01..1.0).prop_map(|(steps, rate)| Decay::Exponential { steps, rate }),
            (1u64..500, 0.1..4.0).prop_map(|(steps, power)| Decay::Polynomial { steps, power }),
            (1u64..500).prop_map(|steps| Decay::Cosine { steps }),
            (1u64..500).prop_map(|steps| Decay::InverseSquareRoot { steps }),
        ];
        (1e-5..1.0, 0u64..300, decay, 0.0..1.0).prop_map(|(peak, warm_up, decay, final_share)| {
            Schedule { peak, warm_up, decay, final_share }
        })
    }

    proptest! {
        #[test]
        fn rates_climb_to_the_peak_and_fall_no_lower_than_the_final_share(
            schedule in schedules(), rewarmed in 0u64..1000
        ) {
            schedule.check().expect("sensible numbers");
            let rate = |since: u64| schedule.rate(rewarmed + since, rewarmed);
            let peak = schedule.peak;
            prop_assert_eq!(rate(schedule.warm_up), peak, "the warm-up ends at the peak");
            for since in 1..1200 {
                let (before, now) = (rate(since - 1), rate(since));
                if since <= schedule.warm_up {
                    prop_assert!(now > before && now <= peak);
                    // Every step of the warm-up is as long, the last one too: no jump at its end.
                    let expected = peak / schedule.warm_up as f64;
                    prop_assert!((now - before - expected).abs() < 1e-9 * peak);
                } else {
                    let floor = peak * schedule.final_share;
                    prop_assert!(now <= before && now >= floor * (1.0 - 1e-12));
                }
            }
        }

        #[test]
        fn a_re_warm_begins_everything_anew(
            schedule in schedules(), step in 1u64..1000, rewarmed in 0u64..1000
        ) {
            prop_assert_eq!(schedule.rate(rewarmed + step, rewarmed), schedule.rate(step, 0));
        }
    }

    #[test]
    fn decays_follow_their_formulas() {
        let share = |decay, t: u64| {
            Schedule { peak: 2.0, warm_up: 10, decay, final_share: 0.2 }.rate(10 + t, 0) / 2.0
        };
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        near(share(Decay::Constant, 999), 1.0);
        near(share(Decay::Step { steps: 10, rate: 0.5 }, 19), 0.5); // one fall
        near(share(Decay::Step { steps: 10, rate: 0.5 }, 20), 0.25); // two
        near(share(Decay::Exponential { steps: 10, rate: 0.5 }, 5), 0.5f64.sqrt());
        near(share(Decay::Exponential { steps: 10, rate: 0.5 }, 500), 0.2);
        near(share(Decay::Polynomial { steps: 10, power: 2.0 }, 5), 0.2 + 0.8 * 0.25);
        near(share(Decay::Polynomial { steps: 10, power: 2.0 }, 11), 0.2);
        near(share(Decay::Cosine { steps: 12 }, 4), 0.2 + 0.8 * 0.75); // (1 + cos 60°) / 2
        near(share(Decay::Cosine { steps: 12 }, 99), 0.2);
        near(share(Decay::InverseSquareRoot { steps: 10 }, 30), 0.5); // √(10 / 40)
    }

    #[test]
    fn what_learns_nothing_is_refused_by_its_key() {
        let good = Schedule::constant(0.1);
        let refusal = |schedule: Schedule| schedule.check().expect_err("refused").to_string();
        assert!(refusal(Schedule { peak: -1.0, ..good }).contains("`train.learning_rate` is -1"));
        assert!(refusal(Schedule { final_share: 1.5, ..good }).contains("`train.final_share`"));
        let decay = |decay| refusal(Schedule { decay, ..good });
        assert!(decay(Decay::Cosine { steps: 0 }).contains("`train.decay_steps` is 0"));
        assert!(decay(Decay::Step { steps: 1, rate: 1.5 }).contains("`train.decay_rate` is 1.5"));
        assert!(decay(Decay::Polynomial { steps: 1, power: 0.0 }).contains("`train.decay_power`"));
    }

    #[test]
    fn schedules_are_read_as_they_were_written_and_older_ones_too() {
        let decay = Decay::Step { steps: 7, rate: 0.3 };
        let schedule = Schedule { peak: 0.1, warm_up: 3, decay, final_share: 0.5 };
        let text = serde_json::to_string(&schedule).expect("plain data");
        assert_eq!(serde_json::from_str::<Schedule>(&text).expect("just written"), schedule);
        let old: Schedule = serde_json::from_str(r#"{"constant":0.002}"#).expect("an older one");
        assert_eq!(old, Schedule::constant(0.002));
    }
}
