//! Several models in one job: each as it would be alone; and a job that ends before its catalogue.

#[path = "rig/models.rs"]
mod models;
#[path = "rig/program.rs"]
mod program;

use std::{fs, path::Path};

use models::{WILD, job};
use program::{call, run};
use serde_json::Value;

const CLIPPED: &str = "name = \"clipped\"\ncell = \"lstm\"\ndropout = 0.1\n";
const PLAIN: &str = "name = \"plain\"\ncell = \"rnn\"\ntrain = { passes = 2, batch = 3 }\n";

fn digest_of(outcome: &Value, name: &str) -> String {
    let models = outcome["models"].as_array().expect("a list");
    let model = models.iter().find(|model| model["name"] == name);
    let model = model.unwrap_or_else(|| panic!("no model {name} in {outcome}"));
    model["weights_digest"].as_str().expect("a digest").to_owned()
}

fn in_words(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// The lines of a kind in a run's metrics.
fn measured(directory: &Path, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(directory.join("metrics.jsonl")).expect("metrics");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter(|line| line["kind"] == kind).collect()
}

#[test]
fn a_model_in_company_has_the_weights_that_it_has_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let both = run(&job(folder, "both", &[CLIPPED, PLAIN]), &[]).json();
    let swapped = run(&job(folder, "swapped", &[PLAIN, CLIPPED]), &[]).json();
    for (name, model) in [("clipped", CLIPPED), ("plain", PLAIN)] {
        let alone = run(&job(folder, &format!("only-{name}"), &[model]), &[]).json();
        let digest = digest_of(&alone, name);
        assert_eq!(alone["weights_digest"], digest.as_str());
        assert_eq!(digest_of(&both, name), digest, "{name} in company");
        assert_eq!(digest_of(&swapped, name), digest, "{name} in another place");
    }
    assert_ne!(digest_of(&both, "clipped"), digest_of(&both, "plain"));
    assert_eq!(both["weights_digest"], swapped["weights_digest"]);
    let chunks = both["chunks"].as_u64().expect("a number");
    assert_eq!(measured(&folder.join("both"), "chunk").len() as u64, 2 * chunks);

    // Whoever opens the run is given the model that is asked for.
    let directory = folder.join("both");
    let written = |options: &[&str]| {
        let fixed = ["generate", in_words(&directory), "--words", "5", "--json"];
        call(fixed.iter().chain(options)).json()
    };
    assert_eq!(written(&["--model", "plain"])["model"], "plain");
    assert_eq!(written(&[])["model"], "clipped");
    let unnamed = call(["generate", in_words(&directory), "--words", "5"]);
    assert!(unnamed.messages.contains("model clipped, of 2 in this run; --model "), "{unnamed:?}");
    let ended = call(["generate", in_words(&directory), "--model", "none"]);
    assert!(ended.error(2).ends_with("no model \"none\"; it has clipped, plain"), "{ended:?}");

    // Another list of models is another run.
    for models in [&[CLIPPED][..], &[CLIPPED, PLAIN, WILD], &[PLAIN, CLIPPED]] {
        let ended = run(&job(folder, "both", models), &[]);
        assert!(ended.error(2).contains("the checkpoint has `model` clipped, plain"), "{ended:?}");
    }
}

#[test]
fn a_model_that_diverges_is_set_aside_in_company_and_stops_the_job_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let alone = run(&job(folder, "alone", &[PLAIN]), &[]).json();
    let path = job(folder, "company", &[WILD, PLAIN]);
    let company = run(&path, &[]).json();
    assert_eq!(company["complete"], true);
    assert_eq!(digest_of(&company, "plain"), digest_of(&alone, "plain"));
    assert_eq!(digest_of(&company, "wild"), "");
    let diverged = &company["models"][0]["record"]["set_aside"]["diverged"];
    assert!(diverged["step"].as_u64() > Some(0) && diverged["chunk"].is_u64(), "{company}");
    let directory = folder.join("company");
    let told = measured(&directory, "set_aside");
    assert!(told.len() == 1 && told[0]["model"] == "wild", "{told:?}");
    // It stays aside when the run goes on, and has nothing to write with.
    let again = run(&path, &[]).json();
    assert_eq!(again["weights_digest"], company["weights_digest"]);
    let ended = call(["generate", in_words(&directory), "--model", "wild"]);
    assert!(ended.error(1).contains("\"wild\" has no weights: it diverged at step"), "{ended:?}");
    call(["generate", in_words(&directory), "--words", "3"]).done();

    let ended = run(&job(folder, "wild", &[WILD]), &[]);
    let error = ended.error(1);
    for part in ["model \"wild\", chunk ", "(sample:", ": step ", "gradient norm"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_job_that_ends_early_says_why_and_goes_on_when_it_may() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let unbroken = run(&job(folder, "unbroken", &[CLIPPED, PLAIN]), &[]).json();
    let path = job(folder, "stopped", &[CLIPPED, PLAIN]);
    let stopped = run(&path, &["stop.after_chunks=2"]).json();
    assert_eq!(stopped["complete"], false);
    assert!(stopped["stopped"]["chunks"].as_u64() >= Some(2), "{stopped}");
    assert!(stopped["chunks"].as_u64() < unbroken["chunks"].as_u64(), "{stopped}");
    let inspected = call(["inspect", in_words(&folder.join("stopped")), "--json"]).json();
    assert_eq!(inspected["weights_digest"], stopped["weights_digest"], "it ends with a commit");
    assert!(inspected["counts"]["training_seconds"].as_f64() > Some(0.0), "{inspected}");
    // Again it ends at once; with the limit gone, as if it had never been there.
    let again = run(&path, &["stop.after_chunks=2"]).json();
    for key in ["weights_digest", "chunks", "account"] {
        assert_eq!(again[key], stopped[key], "{key}");
    }
    let spent = run(&path, &["stop.after_seconds=0.000001"]).json();
    assert_eq!(spent["weights_digest"], stopped["weights_digest"]);
    assert!(spent["stopped"]["seconds"].is_f64(), "{spent}");
    // A limit in steps is looked at after each chunk, and the epoch that is open is learnt to its end:
    // with epochs of one entry it is passed by what is left of that entry, no more than a chunk here.
    let path_of_steps = job(folder, "steps", &[PLAIN]);
    let steps = run(&path_of_steps, &["stop.after_steps=100", "flow.epoch_entries=1"]).json();
    let reached = steps["stopped"]["steps"].as_u64().expect("it was the steps");
    let directory = folder.join("steps");
    let of_chunks: Vec<u64> = measured(&directory, "chunk")
        .iter()
        .map(|line| line["step"].as_u64().expect("a count"))
        .collect();
    let first_beyond = of_chunks.iter().position(|step| *step >= 100).expect("it was reached");
    assert!(of_chunks.len() <= first_beyond + 2, "{of_chunks:?}");
    assert_eq!(of_chunks.last(), Some(&reached));
    assert_eq!(run(&path, &[]).json()["weights_digest"], unbroken["weights_digest"]);

    // Steps so long that nothing gets better: patience ends it.
    let path = job(folder, "impatient", &[PLAIN]);
    let overrides = ["stop.patience=1", "held_out.every=1 chunk", "model.0.train.learning_rate=9"];
    let impatient = run(&path, &overrides).json();
    // One at least: the epoch is learnt to its end.
    assert!(impatient["stopped"]["patience"].as_u64() >= Some(1), "{impatient}");
    assert!(impatient["chunks"].as_u64() < unbroken["chunks"].as_u64(), "{impatient}");
}

#[test]
fn each_step_of_each_model_is_timed_once_where_the_job_asks_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let path = job(folder, "timed", &[CLIPPED, PLAIN]);
    let directory = folder.join("timed");
    // Stopped and gone on with, so that the file is cut and appended to.
    run(&path, &["report.steps=true", "stop.after_chunks=1"]).done();
    let outcome = run(&path, &["report.steps=true", "stop.after_chunks=4"]).json();
    for (place, name) in ["clipped", "plain"].into_iter().enumerate() {
        let lines = measured(&directory, "steps").into_iter().filter(|line| line["model"] == name);
        let (mut next, mut before) = (1, 0.0);
        for line in lines {
            assert_eq!(line["first"], next, "{line}");
            let at = line["at"].as_array().expect("times");
            for time in at.iter().map(|time| time.as_f64().expect("seconds")) {
                assert!(time >= before, "{time} after {before}");
                before = time;
            }
            let nats = line["nats"].as_array().expect("losses");
            assert!(nats.len() == at.len() && nats.iter().all(|loss| loss.as_f64() > Some(0.0)));
            next += at.len() as u64;
        }
        assert_eq!(outcome["models"][place]["record"]["steps"], next - 1, "{outcome}");
    }
    let path = job(folder, "untimed", &[PLAIN]);
    run(&path, &["stop.after_chunks=1"]).done();
    assert!(measured(&folder.join("untimed"), "steps").is_empty());
}
