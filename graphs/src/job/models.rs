//! The models of a job, as written: one `[model]`, or several `[[model]]`.

use std::{fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use toml::Table;

use super::{JobError, Model, Train, set};

/// The models that train on the same chunks, in the order of the job file; one at least once
/// [`super::Job::check`] has passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Models(Vec<Model>);

/// What a name may be longest, in bytes: it names a folder.
const LONGEST_NAME: usize = 64;

impl Models {
    /// These models.
    pub fn new(models: Vec<Model>) -> Self {
        Self(models)
    }
}

impl Default for Models {
    fn default() -> Self {
        Self(vec![Model::default()])
    }
}

impl Deref for Models {
    type Target = [Model];

    fn deref(&self) -> &[Model] {
        &self.0
    }
}

impl Serialize for Models {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [model] => model.serialize(serializer),
            models => models.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Models {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Serde's own way to have one or many forgets which key was unknown.
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Models;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a [model] table, or several [[model]]")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Models, A::Error> {
                Ok(Models(vec![Model::deserialize(MapAccessDeserializer::new(map))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Models, A::Error> {
                Ok(Models(Vec::deserialize(SeqAccessDeserializer::new(list))?))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

/// How a model is trained: its own `train` lies over the job's.
///
/// # Errors
/// If a key is unknown or its value of the wrong type.
pub(super) fn trained(model: &Model, train: &Train) -> Result<Train, JobError> {
    let refused = |message: String| JobError::Model { name: model.name.clone(), message };
    // One process has one number of threads and, so far, one device.
    let shared = ["device", "threads"].into_iter().find(|key| model.train.contains_key(*key));
    if let Some(key) = shared {
        let advice = "is one for all models; set it in the job's [train]";
        return Err(refused(format!("`{key}` {advice}")));
    }
    let mut table = Table::try_from(train).expect("plain data");
    table.extend(model.train.clone());
    table.try_into().map_err(|error| refused(set::explain(&error)))
}

/// Refuses names that cannot be told apart, or name no folder.
pub(super) fn check_names(models: &[Model]) -> Result<(), JobError> {
    if models.is_empty() {
        let advice = "give one [model], or several [[model]]";
        return Err(JobError::senseless("model", &"an empty list", advice));
    }
    for (index, Model { name, .. }) in models.iter().enumerate() {
        let key = format!("model.{index}.name");
        let fits = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
        let is_usable = name.chars().all(fits) && !name.starts_with('.');
        if name.is_empty() || name.len() > LONGEST_NAME || !is_usable {
            let advice = "use letters, digits, -, _ and ., not at the beginning: it names a folder";
            return Err(JobError::senseless(&key, &format!("\"{name}\""), advice));
        }
        if models[..index].iter().any(|other| other.name == *name) {
            let advice = "give each model a name of its own";
            return Err(JobError::senseless(&key, &format!("\"{name}\" again"), advice));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::job::{Clipping, Job};

    const SAMPLE: &str = "[[source]]\nkind = \"sample\"\n";
    const TWO: &str = "[[model]]\nname = \"a\"\nhidden = 8\n[[model]]\nname = \"b\"\n\
                       train = { clip = \"none\", batch = 4 }\n";

    fn job(text: &str, overrides: &[&str]) -> Result<Job, String> {
        let overrides: Vec<String> = overrides.iter().map(|&pair| pair.to_owned()).collect();
        Job::parse(Path::new("a.toml"), &format!("{SAMPLE}{text}"), &overrides)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn one_model_is_a_table_and_several_are_a_list_and_both_are_written_as_they_are_read() {
        let one = job("[model]\nhidden = 8\n", &["model.layers=3"]).expect("a job");
        assert_eq!((one.model.len(), one.model[0].layers, one.model[0].hidden), (1, 3, 8));
        assert_eq!(one.model[0].name, "model");
        let two = job(TWO, &["model.1.hidden=16", "model.0.train.passes=5"]).expect("a job");
        assert_eq!([8, 16], [0, 1].map(|index: usize| two.model[index].hidden));
        let [a, b] = [0, 1].map(|index: usize| two.train_of(&two.model[index]).expect("checked"));
        assert_eq!((a.passes, a.batch, a.clip), (5, two.train.batch, Clipping::Norm));
        assert_eq!((b.passes, b.batch, b.clip), (two.train.passes, 4, Clipping::None));
        for job in [one, two] {
            let text = toml::to_string(&job).expect("plain data");
            assert_eq!(Job::parse(Path::new("a.toml"), &text, &[]).expect("a job"), job);
        }
    }

    #[test]
    fn what_no_model_has_is_refused_in_either_way_of_writing() {
        for (text, expected) in [
            ("[model]\nhiden = 8\n", "unknown field `hiden`; did you mean `hidden`?"),
            ("[[model]]\nhiden = 8\n", "unknown field `hiden`; did you mean `hidden`?"),
            ("[[model]]\ntrain = { pases = 2 }\n", "`pases`; did you mean `passes`?"),
            ("[[model]]\ntrain = { threads = 2 }\n", "`threads` is one for all models"),
            ("[[model]]\ntrain = { batch = 0 }\n", "`train.batch` is 0; use 1 or more"),
            ("[[model]]\n[[model]]\n", "`model.1.name` is \"model\" again"),
            ("[[model]]\nname = \"a/b\"\n", "`model.0.name` is \"a/b\"; use letters"),
            ("[[model]]\nname = \"..\"\n", "`model.0.name` is \"..\"; use letters"),
        ] {
            let refusal = job(text, &[]).expect_err(text);
            assert!(refusal.contains(expected), "{text}: {refusal}");
        }
        assert!(job("", &["model=[]"]).expect_err("no model").contains("an empty list"));
    }
}
