//! What is measured of gradients and parameters, and the one page that a job's models are laid on.

#[path = "rig/models.rs"]
mod models;
#[path = "rig/program.rs"]
mod program;

use std::{fs, path::Path};

use models::{WILD, job};
use program::{call, run};
use serde_json::Value;

const MODELS: [&str; 3] = [
    "name = \"tanh\"\ncell = \"rnn\"\n",
    "name = \"gated\"\ncell = \"lstm\"\ndropout = 0.1\ntrain = { clip_at = 0.05 }\n",
    WILD,
];

fn in_words(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

/// The lines of a kind in a run's metrics, without their times.
fn measured(directory: &Path, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(directory.join("metrics.jsonl")).expect("metrics");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut lines: Vec<Value> = lines.filter(|line| line["kind"] == kind).collect();
    lines.iter_mut().for_each(|line| {
        line.as_object_mut().expect("an object").remove("time");
    });
    lines
}

/// The chunks after which a model has lines of a kind.
fn chunks(lines: &[Value], model: &str) -> Vec<u64> {
    let of_it = lines.iter().filter(|line| line["model"] == model);
    of_it.map(|line| line["chunks"].as_u64().expect("a count")).collect()
}

#[test]
fn measuring_gradients_changes_no_weight_and_a_resumed_run_has_measured_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let often = ["report.gradients=2 chunks", "report.parameters=3 chunks"];
    let outcome = run(&job(folder, "often", &MODELS), &often).json();
    let never = ["report.gradients=never", "report.parameters=never"];
    let silent = run(&job(folder, "never", &MODELS), &never).json();
    assert_eq!(silent["weights_digest"], outcome["weights_digest"]);
    for kind in ["gradients", "parameters"] {
        assert!(measured(&folder.join("never"), kind).is_empty(), "{kind}");
    }

    let all = outcome["chunks"].as_u64().expect("a count");
    let gradients = measured(&folder.join("often"), "gradients");
    let mut expected: Vec<u64> = (1..=all).filter(|chunk| *chunk == 1 || chunk % 2 == 0).collect();
    expected.extend((all % 2 == 1 && all > 1).then_some(all)); // and at the end
    for model in ["tanh", "gated"] {
        assert_eq!(chunks(&gradients, model), expected, "{model}");
    }
    for line in &gradients {
        let norms: Vec<f64> = serde_json::from_value(line["norms"].clone()).expect("finite");
        assert_eq!((norms.len(), &line["spectral_norms"][0]["largest"].is_f64()), (128, &true));
        assert!(norms[0] > 0.0 && norms.iter().all(|norm| *norm >= 0.0), "{line}");
        let gates = line["spectral_norms"][0]["gates"].as_array().map(Vec::len);
        assert_eq!(gates, Some(if line["model"] == "tanh" { 1 } else { 4 }));
    }
    let parameters = measured(&folder.join("often"), "parameters");
    let expected: Vec<u64> = (1..=all).filter(|chunk| *chunk == 1 || chunk % 3 == 0).collect();
    assert_eq!(chunks(&parameters, "tanh"), expected);
    let first = parameters[0]["parameters"].as_array().expect("a list");
    let recurrence = first.iter().find(|one| one["name"] == "recurrent.weight_hh_l0");
    let recurrence = recurrence.unwrap_or_else(|| panic!("no recurrence in {first:?}"));
    for key in ["weight_norm", "gradient_norm", "update_norm"] {
        assert!(recurrence[key].as_f64() > Some(0.0), "{recurrence}");
    }

    // Ended at a chunk and run again: that its end was measured as well is all the difference.
    let stopped = job(folder, "stopped", &MODELS);
    let early = [&often[..], &["stop.after_chunks=3"]].concat();
    let ended = run(&stopped, &early).json()["chunks"].as_u64().expect("a count");
    assert!(ended < all, "{ended} of {all}");
    let resumed = run(&stopped, &often).json();
    assert_eq!(resumed["weights_digest"], outcome["weights_digest"]);
    let again = measured(&folder.join("stopped"), "gradients");
    let known: Vec<&Value> = again.iter().filter(|line| gradients.contains(line)).collect();
    assert_eq!(known.len(), gradients.len());
    assert!(again.iter().all(|line| gradients.contains(line) || line["chunks"] == ended));
    assert_eq!(measured(&folder.join("stopped"), "parameters"), parameters);
}

#[test]
fn the_report_is_one_page_with_every_model_that_asks_the_web_for_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let outcome = run(&job(folder, "job", &MODELS), &[]).json();
    let directory = folder.join("job");
    let told = call(["report", in_words(&directory), "--words", "30", "--json"]).json();
    let models = told[0]["models"].as_array().expect("a list");
    let names: Vec<_> = models.iter().filter_map(|model| model["name"].as_str()).collect();
    assert_eq!(names, ["tanh", "gated", "wild"]);
    assert_eq!(told[0]["weights_digest"], outcome["weights_digest"]);
    for (place, model) in models.iter().take(2).enumerate() {
        let score = &outcome["models"][place]["held_out"];
        for (key, of_run) in
            [("held_out_bits", "bits_per_character"), ("perplexity", "perplexity_per_word")]
        {
            assert_eq!(model[key], score[of_run], "{key} of {model}");
        }
        let alone =
            ["generate", in_words(&directory), "--words", "30", "--json", "--model", names[place]];
        assert_eq!(model["passage"]["text"], call(alone).json()["text"]);
        assert!(model["parameters"].as_u64() > Some(600 * 8), "{model}");
    }
    // A clip at 0.05 is always in force, and one at 1 is not.
    assert_eq!(models[1]["clipped_share"], 1.0);
    assert!(models[0]["clipped_share"].as_f64() < Some(1.0), "{}", models[0]["clipped_share"]);
    assert!(models[2]["set_aside"]["diverged"].is_object() && models[2]["passage"].is_null());

    let file = folder.join("page.html");
    let arguments = ["report", in_words(&directory), "--words", "30", "--out", in_words(&file)];
    assert_eq!(call(arguments).done().trim(), in_words(&file));
    let page = fs::read_to_string(&file).expect("it was written");
    for name in &names {
        assert!(page.contains(name), "{name}");
    }
    let passage = models[0]["passage"]["text"].as_str().expect("a text").trim();
    let line = passage.lines().max_by_key(|line| line.len()).expect("it wrote something");
    assert!(page.contains(line), "{line} is not in the page");
    assert!(page.contains("set aside: it diverged at step"), "{page}");
    for title in [
        "Loss as it reads",
        "Held-out text",
        "Gradient norm",
        "Steps that were clipped",
        "How far back gradients reach",
        "Spectral norm of the recurrence",
        "How they repeat themselves",
    ] {
        assert!(page.contains(&format!("<h3>{title}</h3>")), "{title}");
    }
    assert_eq!(page.matches("<svg role=\"img\"").count(), 7);
    // The name of SVG's namespace is an address that nobody asks.
    let asks = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for way in ["http:", "https:", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!asks.contains(way), "{way}");
    }
    // Several runs stand on one page, each model with its run's name.
    let both = ["report", in_words(&directory), in_words(&directory), "--words", "0"];
    let both = call(both.into_iter().chain(["--out", in_words(&file)]));
    both.done();
    assert!(fs::read_to_string(&file).expect("written").contains("job: tanh"));
    let ended = call(["report", in_words(&folder.join("nowhere"))]);
    assert!(ended.error(1).contains("there is no run in"), "{ended:?}");
}
