//! What a run writes is what PyTorch's own modules read: they give a passage the probabilities that
//! we give it, for every cell.
//!
//! Needs Python's torch, which set-up brings into `.libtorch/python`; without it says so and is skipped.

#![allow(clippy::print_stderr, reason = "tells a person what was compared, or that nothing was")]

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;

use std::{
    ffi::OsString,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use program::{Ended, call, run};
use serde_json::Value;

/// Python, with the torch that set-up has brought where there is one.
fn python() -> Command {
    let mut command = Command::new(std::env::var_os("PYTHON").unwrap_or("python3".into()));
    if let Some(brought) = brought() {
        let before = std::env::var_os("PYTHONPATH").map(OsString::into_string);
        let before = before.and_then(Result::ok).filter(|path| !path.is_empty());
        let paths = brought.to_str().expect("a path of ours").to_owned();
        command.env("PYTHONPATH", before.map_or(paths.clone(), |more| format!("{paths}:{more}")));
    }
    command.args(["-W", "ignore"]);
    command
}

fn brought() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".libtorch/python");
    path.exists().then_some(path)
}

fn torch_is_there() -> bool {
    let ended = Ended::of(python().args(["-c", "import torch, safetensors.torch"]));
    if ended.code == Some(0) {
        return true;
    }
    assert!(brought().is_none(), "set-up brought a torch that does not work: {}", ended.messages);
    // Not eprintln!, which a test that passes keeps to itself.
    let mut told = std::io::stderr().lock();
    let _nobody_listens = writeln!(
        told,
        "\nSKIPPED: tests/load_in_torch.rs compares nothing, as Python has no torch here; run \
         scripts/setup-libtorch.sh, or pip install torch safetensors"
    );
    false
}

/// Runs the script on a run's newest checkpoint and a passage.
fn load(run: &Path, passage: &Path) -> Ended {
    let checkpoints = fs::read_dir(run.join("checkpoints")).expect("a run that has committed");
    let newest = checkpoints.map(|entry| entry.expect("an entry").path()).max();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/load_in_torch.py");
    Ended::of(python().arg(script).arg(newest.expect("a checkpoint")).arg(passage))
}

#[test]
fn torch_gives_a_passage_the_log_probabilities_that_we_give_it() {
    if !torch_is_there() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..16 {
        let path = folder.path().join(format!("{number:02}.txt"));
        fs::write(path, library::text(number)).expect("room for a text");
    }
    // Tied weights need a projection where the widths differ.
    for (cell, tied) in [("lstm", true), ("gru", false), ("rnn", true), ("irnn", false)] {
        let folder_of = folder.path().join(cell);
        fs::create_dir(&folder_of).expect("a folder");
        let texts = format!("kind = \"files\"\npaths = [\"{}/*.txt\"]\n", folder.path().display());
        let job = library::job_over(&folder_of, &texts);
        let more = [&format!("model.cell={cell}"), "model.layers=2", &format!("model.tied={tied}")];
        let outcome = run(&job, &more).json();
        assert!(outcome["steps"].as_u64() > Some(20), "{outcome}");

        let (trained, passage) = (folder_of.join("run"), folder_of.join("passage.json"));
        let [trained_in_words, passage_in_words] =
            [&trained, &passage].map(|path| path.to_str().expect("a path of ours"));
        call(["evaluate", trained_in_words, "--log-probabilities", passage_in_words]).done();
        let said = load(&trained, &passage).done();
        eprintln!("{cell}: {said}");
        let ids: usize = said.split(' ').next().and_then(|ids| ids.parse().ok()).expect("a count");
        assert!(ids > 100, "{said}");

        // And it would have told: one number is a thousandth off, or far too great.
        if cell != "lstm" {
            continue;
        }
        let text = fs::read_to_string(&passage).expect("just written");
        let written: Value = serde_json::from_str(&text).expect("JSON");
        let first = written[0]["log_probabilities"][0].as_f64().expect("a number");
        for wrong in [Value::from(first + 1e-3), Value::from(1e300)] {
            let mut written = written.clone();
            written[0]["log_probabilities"][0] = wrong;
            fs::write(&passage, written.to_string()).expect("room for it");
            let ended = load(&trained, &passage);
            assert_eq!(ended.code, Some(1), "{cell}: {ended:?}");
        }
    }
}
