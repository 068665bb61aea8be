//! `metrics.jsonl` read back: for each model of a run, what every quantity was after how many words.
//!
//! A line that belongs to a model says so (`"model":"lstm"`); one that does not belongs to the only
//! one. Kinds that are not known are passed over, and so is a last line that is still being written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is measured of a model over its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Nats an id of each chunk, each window scored before the step on it.
    PrequentialLoss,
    /// Nats an id of the held-out documents.
    HeldOutLoss,
    /// Bits a character of each chunk, scored before it was trained on.
    PrequentialBits,
    /// Bits a character of the held-out documents.
    HeldOutBits,
    /// exp(nats / words) of the held-out documents.
    Perplexity,
    /// The learning rate of a chunk's last step.
    LearningRate,
    /// Mean norm of a chunk's gradients, before clipping.
    GradientNorm,
    /// Share of a chunk's steps whose gradient was clipped.
    ClippedShare,
    /// Ids trained on in a second, all sweeps counted.
    Throughput,
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Ids learnt in the whole life of the run, up to and with the chunk that was measured.
    pub words: u64,
    /// Steps taken until then.
    pub step: u64,
    /// Seconds since 1970.
    pub time: f64,
    /// What was measured; NaN if it was not finite.
    pub value: f64,
}

/// How strongly a loss depends on inputs before it: the norm of d loss(T) / d input(t) over T − t.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Profile {
    /// Ids learnt until then.
    pub words: u64,
    /// Distances T − t, ascending.
    pub distances: Vec<f64>,
    /// The norm at each of them.
    pub norms: Vec<f64>,
    /// The spectral norm of each layer's recurrence; of several gates, the largest.
    pub spectral_norms: Vec<f64>,
}

/// How a model's parameters stood after the last step of a chunk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Survey {
    /// Ids learnt until then.
    pub words: u64,
    /// Steps taken until then.
    pub step: u64,
    /// Each of them, in the network's order.
    pub parameters: Vec<ParameterNorms>,
}

/// A parameter's norms; NaN if one was not finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterNorms {
    /// Its name in `model.safetensors`.
    pub name: String,
    /// Its own norm, after the step.
    #[serde(deserialize_with = "number")]
    pub weight_norm: f64,
    /// Its gradient's, before clipping.
    #[serde(deserialize_with = "number")]
    pub gradient_norm: f64,
    /// That of what the step changed.
    #[serde(deserialize_with = "number")]
    pub update_norm: f64,
}

fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// All measurements of one model, each quantity's in the order of its life.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curves {
    /// Its name; none where the run has a single model without one.
    pub model: Option<String>,
    /// The quantities.
    pub points: BTreeMap<Quantity, Vec<Point>>,
    /// Gradient profiles.
    pub profiles: Vec<Profile>,
    /// Its parameters.
    pub surveys: Vec<Survey>,
    /// Chunks that it predicted more than twice as badly as one who knows nothing but the number of
    /// its rows: its state or its weights had exploded. The value is in bits a character.
    pub exploded: Vec<Point>,
    /// The gauges of repetition, by name.
    pub repetition: BTreeMap<String, Vec<Point>>,
    #[serde(skip)]
    words: u64,
    #[serde(skip)]
    step: u64,
}

/// Why measurements cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "line {line} of the metrics is damaged: {source}; take it out, or resume the run, which cuts the file at its newest checkpoint"
)]
pub struct SeriesError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub source: serde_json::Error,
}

#[derive(Deserialize)]
struct Measured {
    kind: String,
    #[serde(default)]
    time: f64,
    model: Option<String>,
    #[serde(flatten)]
    data: serde_json::Map<String, Value>,
}

// JSON has no infinity: what was not finite stands there as null, and is read as NaN.
#[derive(Deserialize)]
struct Chunk {
    ids: u64,
    step: u64,
    prequential_nats: Option<f64>,
    bits_per_character: Option<f64>,
    gradient_norm: Option<f64>,
    learning_rate: Option<f64>,
    words_per_second: Option<f64>,
    // Measured since later versions.
    clipped_share: Option<f64>,
    rows: Option<u64>,
}

#[derive(Deserialize)]
struct HeldOut {
    ids: u64,
    nats: Option<f64>,
    bits_per_character: Option<f64>,
    // Not there at all in files of earlier versions.
    #[serde(default, deserialize_with = "told")]
    perplexity_per_word: Option<f64>,
}

#[derive(Deserialize)]
struct Gradients {
    #[serde(default)]
    distances: Vec<f64>,
    norms: Vec<Option<f64>>,
    #[serde(default)]
    spectral_norms: Vec<Spectral>,
}

#[derive(Deserialize)]
struct Spectral {
    #[serde(deserialize_with = "number")]
    largest: f64,
}

#[derive(Deserialize)]
struct Parameters {
    parameters: Vec<ParameterNorms>,
}

/// What is told, even if it was not finite; none only where nothing is.
fn told<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    number(deserializer).map(Some)
}

/// Reads the text of `metrics.jsonl`: the curves of each model, in the order in which they appear.
///
/// # Errors
/// If a line is no measurement; a last one without its line end is left for later.
pub fn curves(text: &str) -> Result<Vec<Curves>, SeriesError> {
    let mut models: Vec<Curves> = Vec::new();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (number, line) in whole.lines().enumerate() {
        let damaged = |source| SeriesError { line: number + 1, source };
        let measured: Measured = serde_json::from_str(line).map_err(damaged)?;
        let place = models.iter().position(|curves| curves.model == measured.model);
        let place = place.unwrap_or_else(|| {
            models.push(Curves { model: measured.model.clone(), ..Curves::default() });
            models.len() - 1
        });
        models[place].take(measured).map_err(damaged)?;
    }
    Ok(models)
}

impl Curves {
    fn take(&mut self, measured: Measured) -> Result<(), serde_json::Error> {
        let Measured { kind, time, data, .. } = measured;
        match kind.as_str() {
            "chunk" => {
                let chunk: Chunk = serde_json::from_value(data.into())?;
                self.words += chunk.ids;
                self.step = chunk.step;
                let loss = chunk.prequential_nats.map(|nats| nats / chunk.ids.max(1) as f64);
                for (quantity, value) in [
                    (Quantity::PrequentialLoss, loss),
                    (Quantity::PrequentialBits, chunk.bits_per_character),
                    (Quantity::LearningRate, chunk.learning_rate),
                    (Quantity::GradientNorm, chunk.gradient_norm),
                    (Quantity::Throughput, chunk.words_per_second),
                ] {
                    self.add(quantity, time, value);
                }
                if let Some(share) = chunk.clipped_share {
                    self.add(Quantity::ClippedShare, time, Some(share));
                }
                let guessing = chunk.rows.map_or(f64::INFINITY, |rows| (rows as f64).ln());
                if loss.is_none_or(|loss| loss > 2.0 * guessing) {
                    let bits = chunk.bits_per_character.unwrap_or(f64::NAN);
                    self.exploded.push(self.point(time, bits));
                }
            }
            "held_out" => {
                let held_out: HeldOut = serde_json::from_value(data.into())?;
                let loss = held_out.nats.map(|nats| nats / held_out.ids.max(1) as f64);
                self.add(Quantity::HeldOutLoss, time, loss);
                self.add(Quantity::HeldOutBits, time, held_out.bits_per_character);
                if let Some(perplexity) = held_out.perplexity_per_word {
                    self.add(Quantity::Perplexity, time, Some(perplexity));
                }
            }
            "gradients" => {
                let gradients: Gradients = serde_json::from_value(data.into())?;
                let Gradients { mut distances, norms, spectral_norms } = gradients;
                if distances.len() != norms.len() {
                    distances = (0..norms.len()).map(|distance| distance as f64).collect();
                }
                let norms = norms.into_iter().map(|norm| norm.unwrap_or(f64::NAN)).collect();
                let spectral_norms = spectral_norms.iter().map(|norm| norm.largest).collect();
                let words = self.words;
                self.profiles.retain(|earlier| earlier.words != words);
                self.profiles.push(Profile { words, distances, norms, spectral_norms });
            }
            "parameters" => {
                let Parameters { parameters } = serde_json::from_value(data.into())?;
                let (words, step) = (self.words, self.step);
                self.surveys.push(Survey { words, step, parameters });
            }
            "repetition" => {
                let mut leaves = Vec::new();
                numbers("", &Value::Object(data), &mut leaves);
                for (name, value) in leaves {
                    let point = self.point(time, value);
                    self.repetition.entry(name).or_default().push(point);
                }
            }
            _unknown => {}
        }
        Ok(())
    }

    fn point(&self, time: f64, value: f64) -> Point {
        Point { words: self.words, step: self.step, time, value }
    }

    fn add(&mut self, quantity: Quantity, time: f64, value: Option<f64>) {
        let point = self.point(time, value.unwrap_or(f64::NAN));
        let points = self.points.entry(quantity).or_default();
        // The score at the end takes all documents: where one of a part stands at the same place,
        // it takes that one's.
        points.retain(|earlier| earlier.words != point.words);
        points.push(point);
    }
}

/// The numbers in a value, each by its dotted name.
fn numbers(name: &str, value: &Value, into: &mut Vec<(String, f64)>) {
    match value {
        Value::Object(parts) => {
            for (key, part) in parts {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                numbers(&name, part, into);
            }
        }
        value => into.extend(value.as_f64().map(|number| (name.to_owned(), number))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(model: &str, ids: u64, nats: f64) -> String {
        format!(
            "{{\"kind\":\"chunk\",\"time\":5.0,{model}\"chunk\":0,\"ids\":{ids},\"characters\":9,\
             \"prequential_nats\":{nats},\"bits_per_character\":7.5,\"last_pass_loss\":1.0,\
             \"step\":{ids},\"gradient_norm\":0.5,\"learning_rate\":0.01,\
             \"words_per_second\":100.0,\"rows\":9}}\n"
        )
    }

    const HELD_OUT: &str =
        "{\"kind\":\"held_out\",\"time\":6.0,\"ids\":8,\"nats\":4.0,\"bits_per_character\":2.0}\n";

    fn along(curves: &Curves, quantity: Quantity) -> Vec<(u64, f64)> {
        curves.points[&quantity].iter().map(|point| (point.words, point.value)).collect()
    }

    #[test]
    fn words_add_up_over_the_chunks_and_a_score_stands_where_the_chunks_had_come_to() {
        let text = chunk("", 10, 30.0) + &chunk("", 20, 40.0) + HELD_OUT + &chunk("", 10, 10.0);
        let [curves] = &curves(&text).expect("whole lines")[..] else { panic!("one model") };
        let losses = [(10, 3.0), (30, 2.0), (40, 1.0)]; // 30/10, 40/20, 10/10
        assert_eq!(along(curves, Quantity::PrequentialLoss), losses);
        assert_eq!(along(curves, Quantity::HeldOutLoss), [(30, 0.5)]);
        assert_eq!(along(curves, Quantity::HeldOutBits), [(30, 2.0)]);
        assert!(!curves.points.contains_key(&Quantity::Perplexity), "nothing was told of it");
        assert_eq!(curves.points[&Quantity::Throughput].len(), 3);
    }

    #[test]
    fn each_model_has_curves_of_its_own_over_the_same_words() {
        let of = |model: &str| format!("\"model\":\"{model}\",");
        let (lstm, rnn) = (of("lstm"), of("rnn"));
        let text = chunk(&lstm, 10, 10.0) + &chunk(&rnn, 10, 20.0) + &chunk(&lstm, 5, 5.0);
        let models = curves(&text).expect("whole lines");
        let names: Vec<_> = models.iter().filter_map(|curves| curves.model.as_deref()).collect();
        assert_eq!(names, ["lstm", "rnn"]);
        assert_eq!(along(&models[0], Quantity::PrequentialLoss), [(10, 1.0), (15, 1.0)]);
        assert_eq!(along(&models[1], Quantity::PrequentialLoss), [(10, 2.0)]);
    }

    #[test]
    fn profiles_and_gauges_stand_where_they_were_taken() {
        let text = chunk("", 10, 1.0)
            + "{\"kind\":\"gradients\",\"norms\":[1.0,0.1],\
               \"spectral_norms\":[{\"largest\":1.5,\"gates\":[1.5,0.5]}]}\n"
            + "{\"kind\":\"parameters\",\"step\":10,\"parameters\":[{\"name\":\"a\",\
               \"weight_norm\":2.0,\"gradient_norm\":null,\"update_norm\":0.1}]}\n"
            + "{\"kind\":\"repetition\",\"rep_4\":0.2,\"human\":{\"rep_4\":0.1},\"n\":\"a\"}\n"
            + "{\"kind\":\"of a later version\"}\n";
        let models = curves(&text).expect("whole lines");
        let (distances, norms) = (vec![0.0, 1.0], vec![1.0, 0.1]);
        let profile = Profile { words: 10, distances, norms, spectral_norms: vec![1.5] };
        assert_eq!(models[0].profiles, [profile]);
        let [Survey { words: 10, step: 10, parameters }] = &models[0].surveys[..] else {
            panic!("one survey: {:?}", models[0].surveys)
        };
        assert_eq!((parameters[0].weight_norm, parameters[0].update_norm), (2.0, 0.1));
        assert!(parameters[0].gradient_norm.is_nan());
        let names: Vec<_> = models[0].repetition.keys().collect();
        assert_eq!(names, ["human.rep_4", "rep_4"]);
        assert_eq!(models[0].repetition["rep_4"][0].words, 10);
    }

    #[test]
    fn a_chunk_predicted_twice_as_badly_as_by_guessing_has_exploded() {
        // Of 9 rows, ln 9 = 2.2 nats an id are guessing: 4.39 is not twice as much, 4.4 is.
        let exploded = |nats: f64| curves(&chunk("", 10, nats)).expect("whole")[0].exploded.len();
        assert_eq!([21.0, 43.9, 44.0].map(exploded), [0, 0, 1]);
        let infinite =
            chunk("", 10, 1.0).replace("\"prequential_nats\":1", "\"prequential_nats\":null");
        assert_eq!(curves(&infinite).expect("whole")[0].exploded.len(), 1);
        let unknown = chunk("", 10, 99.0).replace("\"rows\":9", "\"chunk\":0");
        assert_eq!(curves(&unknown).expect("whole")[0].exploded.len(), 0);
    }

    #[test]
    fn what_was_not_finite_is_not_a_number() {
        let text = chunk("", 10, 1.0) + &chunk("", 10, 1.0).replace("0.5", "null");
        let models = curves(&text).expect("null is what JSON has for infinity");
        let [first, second] = models[0].points[&Quantity::GradientNorm][..] else { panic!("two") };
        assert_eq!((first.words, first.value, second.words), (10, 0.5, 20));
        assert!(second.value.is_nan());
        let endless = HELD_OUT.replace("}", ",\"perplexity_per_word\":null}");
        let models = curves(&endless).expect("null is what JSON has for infinity");
        assert!(models[0].points[&Quantity::Perplexity][0].value.is_nan());
    }

    #[test]
    fn a_last_line_that_is_being_written_is_left_and_a_damaged_one_is_named() {
        let whole = chunk("", 10, 1.0);
        let begun = curves(&(whole.clone() + "{\"kind\":\"chu")).expect("the rest is whole");
        assert_eq!(begun, curves(&whole).expect("whole lines"));
        let damaged = curves(&(whole + "{\"kind\":\"chunk\"}\n")).expect_err("no figures");
        assert!(damaged.to_string().starts_with("line 2 of the metrics is damaged"), "{damaged}");
        assert_eq!(curves("").expect("nothing is no damage"), []);
    }
}
