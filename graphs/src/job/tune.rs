//! `[tune]`: what `seseragi tune` searches, as written and as meant ([`Tune::dimensions`]). No other
//! command does anything with it, but each refuses what cannot be meant.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};
use toml::{Table, Value};

use super::{Job, JobError, Model, Train, set};

/// What a trial sets: keys such as `train.learning_rate`, each with its value.
pub type Values = BTreeMap<String, Value>;

/// What a search tries, and how it is cut; see [`crate::tune`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tune {
    /// Trials that train side by side on the same chunks.
    pub bracket: usize,
    /// Chunks after which the first rung ends; each later one after twice as many.
    pub rung_chunks: u64,
    /// The ranges of keys of `[model]`.
    #[serde(deserialize_with = "ranges::<_, Model>")]
    pub model: BTreeMap<String, Range>,
    /// The ranges of keys of `[train]`.
    #[serde(deserialize_with = "ranges::<_, Train>")]
    pub train: BTreeMap<String, Range>,
}

impl Default for Tune {
    fn default() -> Self {
        Self { bracket: 8, rung_chunks: 4, model: BTreeMap::new(), train: BTreeMap::new() }
    }
}

/// What a key may be, as written: a number `from` one `to` another, or one of some `choices`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Range {
    /// The least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The greatest; it may be drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// How the numbers between are spread.
    pub scale: Scale,
    /// The values, where they are no range of numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
}

/// How the numbers of a range are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// Their logarithms evenly.
    Log,
}

/// One key of a search, as meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    /// The key, such as `train.learning_rate`.
    pub key: String,
    /// What it may be.
    pub axis: Axis,
}

/// What a key may be. Every value has a place in `[0, 1)`, and every place a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Axis {
    /// A number.
    Real {
        /// The least.
        from: f64,
        /// The greatest.
        to: f64,
        /// How they are spread.
        scale: Scale,
    },
    /// A whole number.
    Whole {
        /// The least.
        from: i64,
        /// The greatest.
        to: i64,
        /// How they are spread.
        scale: Scale,
    },
    /// One of these.
    Choices(Vec<Value>),
}

impl Axis {
    /// The value at a place in `[0, 1)`. Numbers are rounded to what a person would write, a few
    /// digits: a finer step would change nothing that a search can see.
    pub fn at(&self, place: f64) -> Value {
        match self {
            Self::Real { from, to, scale: Scale::Linear } => {
                let width = to - from;
                let decimals = decimals(width);
                let text = format!("{:.decimals$}", from + place * width);
                Value::Float(text.parse::<f64>().expect("a number").clamp(*from, *to))
            }
            Self::Real { from, to, scale: Scale::Log } => {
                let width = to.ln() - from.ln();
                let decimals = decimals(width);
                let text = format!("{:.decimals$e}", (from.ln() + place * width).exp());
                Value::Float(text.parse::<f64>().expect("a number").clamp(*from, *to))
            }
            // A whole number stands for the numbers from it to the next.
            Self::Whole { from, to, scale } => {
                let (least, end) = (*from as f64, *to as f64 + 1.0);
                let value = match scale {
                    Scale::Linear => least + place * (end - least),
                    Scale::Log => (least.ln() + place * (end.ln() - least.ln())).exp(),
                };
                Value::Integer((value.floor() as i64).clamp(*from, *to))
            }
            Self::Choices(choices) => {
                let index = (place * choices.len() as f64) as usize;
                choices[index.min(choices.len() - 1)].clone()
            }
        }
    }

    /// The place of a value that [`Self::at`] has given.
    pub fn place(&self, value: &Value) -> f64 {
        let place = match (self, value) {
            (Self::Real { from, to, scale: Scale::Linear }, Value::Float(value)) => {
                (value - from) / (to - from)
            }
            (Self::Real { from, to, scale: Scale::Log }, Value::Float(value)) => {
                (value.ln() - from.ln()) / (to.ln() - from.ln())
            }
            (Self::Whole { from, to, scale }, Value::Integer(value)) => {
                let (least, end, middle) = (*from as f64, *to as f64 + 1.0, *value as f64 + 0.5);
                match scale {
                    Scale::Linear => (middle - least) / (end - least),
                    Scale::Log => (middle.ln() - least.ln()) / (end.ln() - least.ln()),
                }
            }
            (Self::Choices(choices), value) => {
                let index = choices.iter().position(|choice| choice == value);
                (index.expect("it is one of the choices") as f64 + 0.5) / choices.len() as f64
            }
            _ => unreachable!("a value of another kind than its axis"),
        };
        place.clamp(0.0, 1.0 - f64::EPSILON)
    }

    /// The values that are tried out when the job is read: all choices, both ends.
    fn ends(&self) -> Vec<Value> {
        match self {
            Self::Real { from, to, .. } => [from, to].map(|end| Value::Float(*end)).into(),
            Self::Whole { from, to, .. } => [from, to].map(|end| Value::Integer(*end)).into(),
            Self::Choices(choices) => choices.clone(),
        }
    }
}

impl Tune {
    /// What is searched, ascending by key.
    ///
    /// # Errors
    /// The first range that cannot be meant, with what it may be.
    pub fn dimensions(&self) -> Result<Vec<Dimension>, JobError> {
        let of = |table: &str, ranges: &BTreeMap<String, Range>, defaults: &Table| {
            let meant = ranges.iter().map(|(name, range)| {
                let key = format!("{table}.{name}");
                let axis = axis(&key, range, &defaults[name])?;
                Ok(Dimension { key, axis })
            });
            meant.collect::<Result<Vec<_>, JobError>>()
        };
        let mut dimensions = of("model", &self.model, &keys_of::<Model>())?;
        dimensions.extend(of("train", &self.train, &keys_of::<Train>())?);
        Ok(dimensions)
    }
}

impl Job {
    /// Refuses a search that cannot be meant: each end of each range must make a job.
    pub(super) fn check_tune(&self) -> Result<(), JobError> {
        let Tune { bracket, rung_chunks, .. } = self.tune;
        if !(1..=MOST).contains(&bracket) {
            let advice = format!("use 1 to {MOST}");
            return Err(JobError::senseless("tune.bracket", &bracket, &advice));
        }
        // So that the chunks of the last rung can be counted.
        if !(1..=1 << 32).contains(&rung_chunks) {
            let advice = format!("use 1 to {}", 1_u64 << 32);
            return Err(JobError::senseless("tune.rung_chunks", &rung_chunks, &advice));
        }
        for Dimension { key, axis } in self.tune.dimensions()? {
            for end in axis.ends() {
                let values = Values::from([(key.clone(), end)]);
                self.model_with("trial", &values).map_err(|error| of_range(&key, error))?;
            }
        }
        Ok(())
    }

    /// The job's first model under another name, `values` laid over it and over how it is trained.
    ///
    /// # Errors
    /// If no job can have such a model.
    pub fn model_with(&self, name: &str, values: &Values) -> Result<Model, JobError> {
        let mut table = Table::try_from(&self.model[0]).expect("plain data");
        let mut train = self.model[0].train.clone();
        for (key, value) in values {
            match key.split_once('.') {
                Some(("train", key)) => train.insert(key.into(), value.clone()),
                Some((_, key)) => table.insert(key.into(), value.clone()),
                None => unreachable!("the key of a dimension has its table"),
            };
        }
        table.insert("name".into(), name.into());
        table.insert("train".into(), train.into());
        let refused = |error| JobError::Model { name: name.into(), message: set::explain(&error) };
        let model = table.try_into().map_err(refused)?;
        self.check_model(&model)?;
        Ok(model)
    }
}

/// Decimals by which a thousandth of a range is told.
fn decimals(width: f64) -> usize {
    (3.0 - width.log10().floor()).clamp(0.0, 17.0) as usize
}

/// Trials in a bracket, at most: all are in memory.
const MOST: usize = 256;

/// A trouble with an end of a range, told as one with the range.
fn of_range(key: &str, error: JobError) -> JobError {
    let key = format!("tune.{key}");
    match error {
        JobError::Senseless { key: of, found, advice } if key.ends_with(&format!(".{of}")) => {
            JobError::Senseless { key, found, advice }
        }
        JobError::Model { message, .. } => JobError::Range { key, message },
        other => other,
    }
}

/// A range as meant; `default` is a value of the key, which tells of what kind it is.
fn axis(key: &str, range: &Range, default: &Value) -> Result<Axis, JobError> {
    let Range { from, to, scale, choices } = range;
    let refused = |part: &str, found: &Value, advice: &str| {
        JobError::senseless(&format!("tune.{key}{part}"), found, advice)
    };
    let whole = || Value::try_from(range).expect("plain data");
    let number = |part: &str, value: &Value| match (value, default) {
        (Value::Integer(_), Value::Integer(_)) => Ok(value.clone()),
        (Value::Integer(value), Value::Float(_)) => Ok(Value::Float(*value as f64)),
        (Value::Float(number), Value::Float(_)) if number.is_finite() => Ok(value.clone()),
        (_, Value::Integer(_)) => Err(refused(part, value, "use a whole number")),
        (_, Value::Float(_)) => Err(refused(part, value, "use a number")),
        _ => Err(refused("", &whole(), "it is no number: use `choices`")),
    };
    let (from, to) = match (from, to) {
        (None, None) if !choices.is_empty() => {
            let kind = |value: &Value| match (value, default) {
                (Value::Integer(value), Value::Float(_)) => Value::Float(*value as f64),
                _ => value.clone(),
            };
            let choices: Vec<Value> = choices.iter().map(kind).collect();
            let again = |(index, value): &(usize, &Value)| choices[..*index].contains(value);
            if let Some((_, value)) = choices.iter().enumerate().find(again) {
                return Err(refused(".choices", value, "give each choice once"));
            }
            return Ok(Axis::Choices(choices));
        }
        (Some(from), Some(to)) if choices.is_empty() => {
            (number(".from", from)?, number(".to", to)?)
        }
        _ => return Err(refused("", &whole(), "give `from` and `to`, or else `choices`")),
    };
    let (least, most) = match (&from, &to) {
        (Value::Integer(from), Value::Integer(to)) => (*from as f64, *to as f64),
        (Value::Float(from), Value::Float(to)) => (*from, *to),
        _ => unreachable!("both are of the kind of the default"),
    };
    if least >= most || !(most - least).is_finite() {
        return Err(refused(".to", &to, &format!("use a number above `from`, which is {from}")));
    }
    if *scale == Scale::Log && least <= 0.0 {
        return Err(refused(".from", &from, "use a number above 0 on a logarithmic scale"));
    }
    Ok(match (from, to) {
        (Value::Integer(from), Value::Integer(to)) => Axis::Whole { from, to, scale: *scale },
        _ => Axis::Real { from: least, to: most, scale: *scale },
    })
}

/// Keys that no trial can have of its own: its name, and what all models of a process share.
const SHARED: [&str; 4] = ["name", "train", "device", "threads"];

/// The keys of a table that may be searched, with their defaults.
fn keys_of<T: Default + Serialize>() -> Table {
    let mut keys = Table::try_from(T::default()).expect("plain data");
    keys.retain(|key, _| !SHARED.contains(&key));
    keys
}

/// Reads ranges, and refuses keys that the table `T` has not.
fn ranges<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, Range>, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Serialize,
{
    struct Ranges<T>(PhantomData<T>);

    impl<'de, T: Default + Serialize> Visitor<'de> for Ranges<T> {
        type Value = BTreeMap<String, Range>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a table of ranges")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let known = keys_of::<T>();
            let mut ranges = BTreeMap::new();
            while let Some(key) = map.next_key_seed(Known(&known))? {
                ranges.insert(key, map.next_value()?);
            }
            Ok(ranges)
        }
    }

    deserializer.deserialize_map(Ranges::<T>(PhantomData))
}

/// A key that is one of these.
struct Known<'a>(&'a Table);

impl<'de> DeserializeSeed<'de> for Known<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let key = String::deserialize(deserializer)?;
        if self.0.contains_key(&key) {
            return Ok(key);
        }
        if SHARED.contains(&key.as_str()) {
            return Err(Error::custom(format!("`{key}` is one for all trials of a search")));
        }
        // As serde says it, so that the nearest one is found.
        let known: Vec<String> = self.0.keys().map(|key| format!("`{key}`")).collect();
        let known = known.join(", ");
        Err(Error::custom(format!("unknown field `{key}`, expected one of {known}")))
    }
}

#[cfg(test)]
mod tests;
