use std::path::Path;

use proptest::prelude::*;

use super::*;

const SAMPLE: &str = "[[source]]\nkind = \"sample\"\n[tune]\n";

fn job(text: &str) -> Result<Job, String> {
    let text = format!("{SAMPLE}{text}");
    Job::parse(Path::new("a.toml"), &text, &[]).map_err(|error| error.to_string())
}

#[test]
fn ranges_are_meant_by_the_kind_of_their_key() {
    let text = "model.hidden = { from = 16, to = 512, scale = \"log\" }\n\
                model.cell = { choices = [\"lstm\", \"gru\"] }\n\
                model.tied = { choices = [true, false] }\n\
                train.clip_at = { from = 1, to = 10 }\n\
                train.dropout = 1\n";
    let refusal = job(text).expect_err("dropout is a key of the model");
    assert!(refusal.contains("unknown field `dropout`"), "{refusal}");
    let text = text.replace("train.dropout = 1\n", "");
    let job = job(&text).expect("a job");
    let found = job.tune.dimensions().expect("it was checked");
    let keys: Vec<&str> = found.iter().map(|dimension| dimension.key.as_str()).collect();
    assert_eq!(keys, ["model.cell", "model.hidden", "model.tied", "train.clip_at"]);
    assert_eq!(found[1].axis, Axis::Whole { from: 16, to: 512, scale: Scale::Log });
    assert_eq!(found[3].axis, Axis::Real { from: 1.0, to: 10.0, scale: Scale::Linear });
    let written = toml::to_string(&job).expect("plain data");
    assert_eq!(Job::parse(Path::new("a.toml"), &written, &[]).expect("a job"), job);
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_key_and_what_it_may_be() {
    for (text, expected) in [
        ("train.learing_rate = { from = 1 }", "did you mean `learning_rate`?"),
        (
            "model.hiden = { from = 1 }",
            "line 4, column 7: unknown field `hiden`; did you mean `hidden`?",
        ),
        ("train.batch = { form = 1 }", "did you mean `from`?"),
        ("train.batch = { from = 1, to = 2, scale = \"lgo\" }", "did you mean `log`?"),
        ("train.threads = { from = 1, to = 2 }", "`threads` is one for all trials"),
        ("model.name = { choices = [\"a\"] }", "`name` is one for all trials"),
        ("train.batch = { from = 1.5, to = 2 }", "`tune.train.batch.from` is 1.5; use a whole"),
        ("train.batch = { from = 4, to = 4 }", "`tune.train.batch.to` is 4; use a number above"),
        ("train.batch = { from = 0, to = 4 }", "`tune.train.batch` is 0; use 1 or more"),
        (
            "train.clip_at = { from = 0, to = 1, scale = \"log\" }",
            ".from` is 0.0; use a number above 0",
        ),
        (
            "train.clip_at = { from = -1, to = 1 }",
            "`tune.train.clip_at` is -1; use a value above 0",
        ),
        ("train.clip_at = { from = 1 }", "give `from` and `to`, or else `choices`"),
        ("train.clip_at = { choices = [1, 1.0] }", ".choices` is 1.0; give each choice once"),
        ("train.clip = { from = 1, to = 2 }", "it is no number: use `choices`"),
        (
            "model.cell = { choices = [\"lstn\"] }",
            "`tune.model.cell`: unknown variant `lstn`; did you mean `lstm`?",
        ),
        (
            "train.clip = { choices = [\"nrom\"] }",
            "`tune.train.clip`: unknown variant `nrom`; did you mean `norm`?",
        ),
        ("bracket = 0", "`tune.bracket` is 0; use 1 to 256"),
        ("rung_chunks = 0", "`tune.rung_chunks` is 0; use 1"),
    ] {
        let refusal = job(text).expect_err(text);
        assert!(refusal.contains(expected), "{text}: {refusal}");
    }
}

#[test]
fn a_trial_s_values_lie_over_those_of_the_job() {
    let job = job("[model]\nhidden = 32\ntrain = { batch = 2 }\n[train]\nsequence = 8\n");
    let job = job.expect("a job");
    let values = [("model.layers", 3.into()), ("train.batch", 5.into())];
    let values = values.map(|(key, value)| (key.to_owned(), value)).into();
    let model = job.model_with("trial-7", &values).expect("a model");
    let train = job.train_of(&model).expect("checked");
    assert_eq!((model.name.as_str(), model.layers, model.hidden), ("trial-7", 3, 32));
    assert_eq!((train.batch, train.sequence), (5, 8));
}

fn axes() -> impl Strategy<Value = Axis> {
    let scale = || prop_oneof![Just(Scale::Linear), Just(Scale::Log)];
    let real = (1e-6..10.0_f64, 1e-4..1e3_f64, scale());
    let whole = (1..1000_i64, 1..1000_i64, scale());
    prop_oneof![
        real.prop_map(|(from, width, scale)| Axis::Real { from, to: from + width, scale }),
        whole.prop_map(|(from, width, scale)| Axis::Whole { from, to: from + width, scale }),
        (1..9_i64).prop_map(|most| Axis::Choices((0..most).map(Value::from).collect())),
    ]
}

proptest! {
    #[test]
    fn every_place_has_a_value_in_the_range_and_that_value_a_place_nearby(
        axis in axes(), place in 0.0..1.0_f64
    ) {
        let value = axis.at(place);
        let again = axis.place(&value);
        prop_assert!((0.0..1.0).contains(&again));
        prop_assert_eq!(&axis.at(again), &value, "{:?}", axis);
        match (&axis, &value) {
            (Axis::Real { from, to, .. }, Value::Float(value)) => {
                prop_assert!((from..=to).contains(&value));
                // A thousandth is told.
                prop_assert!((again - place).abs() < 0.01, "{place} {again} {axis:?}");
            }
            (Axis::Whole { from, to, .. }, Value::Integer(value)) => {
                prop_assert!((from..=to).contains(&value));
            }
            (Axis::Choices(choices), value) => prop_assert!(choices.contains(value)),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
