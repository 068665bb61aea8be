//! Which trials a bracket has: a function of the seed, the bracket's number and what earlier brackets
//! have shown, never of time.
//!
//! The first bracket is a Latin hypercube (McKay, Beckman and Conover 1979): of `n` trials each has a
//! stratum of every range for itself, so that few trials still see all of it. In later ones two of three
//! are drawn by tree-structured Parzen estimators (Bergstra et al. 2011, the crate `tpe`) and the third
//! from the whole ranges, as BOHB does (Falkner, Klein and Hutter 2018): an estimate of so few trials
//! may be wrong. An estimator is told the order of the trials, which is all that it asks of scores.

use rand::{Rng, RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use tpe::{TpeOptimizer, TpeOptimizerBuilder};

use crate::job::tune::{Axis, Dimension, Values};

/// The share of the trials that an estimator takes for the good ones.
const GOOD: f64 = 0.25;

/// Of so many trials in a later bracket, one is drawn from the whole ranges.
const AFRESH: usize = 3;

/// How often an estimator is asked for a trial that there was not yet.
const PROPOSALS: usize = 16;

/// How often a trial is drawn. If each time there was one like it, or no job can have it, then there
/// are too few different ones.
const TRIES: usize = 4096;

/// Draws `count` trials that differ from each other and from those `seen`, which are given best first.
/// Fewer if there are no more that are `usable`.
pub fn draw(
    dimensions: &[Dimension],
    seed: u64,
    bracket: usize,
    count: usize,
    seen: &[&Values],
    usable: impl Fn(&Values) -> bool,
) -> Vec<Values> {
    let mut generator = generator(seed, bracket);
    let strata: Vec<Vec<f64>> = dimensions.iter().map(|_| strata(count, &mut generator)).collect();
    let mut estimators: Vec<Estimator> =
        dimensions.iter().map(|dimension| Estimator::of(dimension, seen)).collect();
    let mut drawn: Vec<Values> = Vec::new();
    while drawn.len() < count {
        let index = drawn.len();
        let learns = !seen.is_empty() && index % AFRESH != AFRESH - 1;
        let mut values = |attempt: usize| -> Values {
            let place = |(number, dimension): (usize, &Dimension)| {
                let place = match attempt {
                    0 if seen.is_empty() => strata[number][index],
                    0..PROPOSALS if learns => estimators[number].ask(&mut generator),
                    _ => generator.random(),
                };
                (dimension.key.clone(), dimension.axis.at(place))
            };
            dimensions.iter().enumerate().map(place).collect()
        };
        let found = (0..TRIES)
            .map(&mut values)
            .find(|values| !drawn.contains(values) && !seen.contains(&values) && usable(values));
        match found {
            Some(values) => drawn.push(values),
            None => break,
        }
    }
    drawn
}

fn generator(seed: u64, bracket: usize) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update((bracket as u64).to_le_bytes());
    hash.update("tune");
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// A place in each of `count` equal parts of `[0, 1)`, in any order.
fn strata(count: usize, generator: &mut impl Rng) -> Vec<f64> {
    let place = |part: usize| (part as f64 + generator.random::<f64>()) / count as f64;
    let mut places: Vec<f64> = (0..count).map(place).collect();
    places.shuffle(generator);
    places
}

/// What of a range is worth a trial.
struct Estimator {
    optimizer: TpeOptimizer,
    /// Choices, if they have no order.
    choices: Option<usize>,
}

impl Estimator {
    fn of(Dimension { key, axis }: &Dimension, seen: &[&Values]) -> Self {
        let choices = match axis {
            Axis::Choices(choices) => Some(choices.len()),
            Axis::Real { .. } | Axis::Whole { .. } => None,
        };
        let estimator = match choices {
            Some(_) => tpe::histogram_estimator(),
            None => tpe::parzen_estimator(),
        };
        let width = choices.unwrap_or(1) as f64;
        let range = tpe::range(0.0, width).expect("it is wider than nothing");
        let mut builder = TpeOptimizerBuilder::new();
        let built = builder.gamma(GOOD).build(estimator, range);
        let mut optimizer = built.expect("a share and some candidates");
        for (order, values) in seen.iter().enumerate() {
            let place = axis.place(&values[key]) * width;
            optimizer.tell(place, order as f64).expect("a place in the range");
        }
        Self { optimizer, choices }
    }

    fn ask(&mut self, generator: &mut impl Rng) -> f64 {
        let Ok(found) = self.optimizer.ask(generator);
        match self.choices {
            Some(choices) => (found.floor() + 0.5) / choices as f64,
            None => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use toml::Value;

    use super::*;
    use crate::job::tune::Scale;

    fn rate() -> Dimension {
        let axis = Axis::Real { from: 1e-5, to: 1.0, scale: Scale::Log };
        Dimension { key: "train.learning_rate".into(), axis }
    }

    fn choice(key: &str, choices: i64) -> Dimension {
        let choices = (0..choices).map(Value::from).collect();
        Dimension { key: key.into(), axis: Axis::Choices(choices) }
    }

    #[test]
    fn trials_are_a_function_of_seed_and_bracket() {
        let dimensions = [rate(), choice("model.layers", 4)];
        let of = |seed, bracket| draw(&dimensions, seed, bracket, 5, &[], |_| true);
        assert_eq!(of(1, 0), of(1, 0));
        assert_ne!(of(1, 0), of(2, 0));
        assert_ne!(of(1, 0), of(1, 1));
    }

    #[test]
    fn the_first_bracket_sees_every_part_of_every_range() {
        let dimensions = [rate(), choice("model.layers", 8), choice("model.hidden", 4)];
        let drawn = draw(&dimensions, 3, 0, 8, &[], |_| true);
        let decade = |values: &Values| {
            // 8 parts of 5 decades.
            let place = dimensions[0].axis.place(&values["train.learning_rate"]);
            (place * 8.0).floor() as usize
        };
        let mut parts: Vec<usize> = drawn.iter().map(decade).collect();
        parts.sort_unstable();
        assert_eq!(parts, [0, 1, 2, 3, 4, 5, 6, 7]);
        let times = |key: &str, choice: i64| {
            drawn.iter().filter(|values| values[key] == Value::from(choice)).count()
        };
        assert!((0..8).all(|choice| times("model.layers", choice) == 1));
        assert!((0..4).all(|choice| times("model.hidden", choice) == 2));
    }

    #[test]
    fn no_trial_comes_twice_and_there_are_no_more_than_the_ranges_hold() {
        let dimensions = [choice("model.layers", 3), choice("model.hidden", 2)];
        let mut drawn = draw(&dimensions, 1, 0, 4, &[], |_| true);
        let seen: Vec<&Values> = drawn.iter().collect();
        let rest = draw(&dimensions, 1, 1, 8, &seen, |_| true);
        assert_eq!((seen.len(), rest.len()), (4, 2)); // 3 · 2 = 6
        drawn.extend(rest);
        let differ = |place: usize| !drawn[..place].contains(&drawn[place]);
        assert!((0..6).all(differ), "{drawn:?}");
        let even = |values: &Values| values["model.layers"] != Value::from(1);
        assert_eq!(draw(&dimensions, 1, 0, 8, &[], even).len(), 4);
    }

    #[test]
    fn later_brackets_look_where_earlier_ones_were_good() {
        // Good are learning rates about 0.01, which is 0.6 of the range, and choice 2.
        let dimensions = [rate(), choice("model.layers", 5)];
        let badness = |values: &Values| {
            let place = dimensions[0].axis.place(&values["train.learning_rate"]);
            (place - 0.6).abs() + if values["model.layers"] == Value::from(2) { 0.0 } else { 0.5 }
        };
        let mut seen = draw(&dimensions, 1, 0, 32, &[], |_| true);
        seen.sort_by(|a, b| badness(a).total_cmp(&badness(b)));
        let seen: Vec<&Values> = seen.iter().collect();
        let mean =
            |trials: &[Values]| trials.iter().map(badness).sum::<f64>() / trials.len() as f64;
        let blind = draw(&dimensions, 2, 1, 32, &[], |_| true);
        let learnt = draw(&dimensions, 2, 1, 32, &seen, |_| true);
        // A third of the later ones is drawn blindly all the same.
        assert!(mean(&learnt) < 0.75 * mean(&blind), "{} {}", mean(&learnt), mean(&blind));
        let close = learnt.iter().filter(|values| badness(values) < 0.3).count();
        let by_chance = blind.iter().filter(|values| badness(values) < 0.3).count();
        assert!(close >= 2 * by_chance.max(3), "{close} {by_chance}");
    }
}
