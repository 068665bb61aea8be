//! A checkpoint that was damaged, or is another program's, and a disk that is full: the run says so,
//! goes on from what is whole, and ends as the unbroken one; or it does nothing at all.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]
#![allow(clippy::print_stderr, reason = "tells a person what was measured, or skipped")]

#[path = "support/library.rs"]
mod library;
#[path = "support/running.rs"]
mod running;
#[path = "support/stage.rs"]
mod stage;

use std::{fs, process::Command};

use library::{flip, truncate};
use running::{Job, Running};
use serde_json::Value;
use sha2::{Digest, Sha256};
use stage::{Stage, copy, name};

#[test]
fn whichever_file_of_a_checkpoint_is_damaged_it_is_named_and_the_one_before_is_used() {
    let stage = Stage::set(4);
    let half = stage::half_a_run(&stage, "half");
    let newest = half.checkpoints().pop().expect("a checkpoint");
    let before: u64 =
        name(&half.checkpoints()[half.checkpoints().len() - 2]).parse().expect("an epoch");
    let text = fs::read(newest.join("manifest.json")).expect("a manifest");
    let listed: Value = serde_json::from_slice(&text).expect("JSON");
    let listed = listed["files"].as_object().expect("a table").keys().cloned();
    let sums = ["manifest.json", "manifest.json.sha256"].map(str::to_owned);
    let names: Vec<String> = listed.chain(sums).collect();
    assert!(
        names.len() > 10 && names.iter().any(|name| name.contains("models/model/")),
        "{names:?}"
    );

    for (number, file) in names.iter().enumerate() {
        // Both ways for the manifest, which names all the others; else by turns.
        let both = file.starts_with("manifest");
        for flips in [true, false].into_iter().filter(|flips| both || *flips == (number % 2 == 0)) {
            let of = format!("{file} {}", if flips { "flipped" } else { "cut" });
            let damage = if flips { flip } else { truncate };
            let job = stage.job(&of);
            copy(&half.directory, &job.directory);
            damage(&job.directory.join("checkpoints").join(name(&newest)).join(file));
            let ended = stage.expect_unbroken(&job, &of);
            let line = ended.line("passed over checkpoint").unwrap_or_else(|| panic!("{of}"));
            assert!(line.contains(&name(&newest)) && line.contains(file.as_str()), "{of}: {line}");
            let resumed = ended.line("resumed").unwrap_or_else(|| panic!("{of}"));
            assert!(resumed.contains(&format!("epoch {before},")), "{of}: {resumed}");
        }
    }
}

#[test]
fn a_run_whose_checkpoints_are_all_damaged_does_not_start_over() {
    let stage = Stage::set(5);
    let job = stage::half_a_run(&stage, "half");
    let checkpoints = job.checkpoints();
    checkpoints.iter().for_each(|checkpoint| flip(&checkpoint.join("ledger.arrow")));
    for _ in 0..2 {
        let ended = job.start().end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let error = ended.line("error:").expect("an error");
        for checkpoint in &checkpoints {
            assert!(error.contains(&format!("{}: ledger.arrow", name(checkpoint))), "{error}");
        }
        assert!(error.contains("move the run directory away"), "{error}");
        assert_eq!(job.checkpoints(), checkpoints, "everything is where it was");
    }
    // As the message says.
    fs::rename(&job.directory, job.directory.with_extension("away")).expect("moved away");
    stage.expect_unbroken(&job, "after it was moved away");
}

#[test]
fn a_checkpoint_of_another_format_stops_the_run() {
    let stage = Stage::set(6);
    let job = stage::half_a_run(&stage, "half");
    let newest = job.checkpoints().pop().expect("a checkpoint");
    let (manifest, sum) = (newest.join("manifest.json"), newest.join("manifest.json.sha256"));
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let foreign = text.replacen("\"format\": 2", "\"format\": 99", 1);
    assert_ne!(text, foreign);
    fs::write(&manifest, &foreign).expect("room for a manifest");
    let digest: String =
        Sha256::digest(&foreign).iter().map(|byte| format!("{byte:02x}")).collect();
    // Whether it is summed as we do it, or in no way that we know.
    for summed in [true, false] {
        match summed {
            true => fs::write(&sum, format!("{digest}  manifest.json\n")).expect("room for a sum"),
            false => fs::remove_file(&sum).expect("a sum to remove"),
        }
        let ended = job.start().end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let error = ended.line("error:").expect("an error");
        assert!(error.contains(&name(&newest)) && error.contains("format 99"), "{error}");
        assert!(newest.is_dir(), "it is where it was");
    }
}

/// A shell in which a small file system may be mounted, that of this test alone.
fn shell_with_mounts() -> Option<Command> {
    let ways: [&[&str]; 2] =
        [&["unshare", "--user", "--map-root-user", "--mount"], &["unshare", "--mount"]];
    ways.into_iter().find_map(|way| {
        let shell = || {
            let mut command = Command::new(way[0]);
            command.args(&way[1..]).args(["sh", "-euc"]);
            command
        };
        let tried = shell().arg("mount -t tmpfs none /mnt").output().ok()?;
        tried.status.success().then(shell)
    })
}

/// Runs a job whose run directory, or a part of it, is a file system with little room; then makes
/// room and runs it again.
fn fill(stage: &Stage, mut shell: Command, part: &str, room: &str) {
    let job = stage.job(&format!("full-{part}"));
    let notes = job.directory.with_extension("notes");
    let mounted = job.directory.join(part);
    fs::create_dir_all(&mounted).and_then(|()| fs::create_dir(&notes)).expect("room for folders");
    // The file system is the shell's alone, and goes with it: so what is there is copied out.
    // It reads little ahead, so that something is committed before the disk is full.
    let script = r#"
        program=$1 job=$2 directory=$3 mounted=$4 room=$5 notes=$6
        mount -t tmpfs -o size="$room" none "$mounted"
        "$program" run "$job" --set flow.epochs_in_flight=2 --json 2>"$notes/full" && exit 9 || echo $? >"$notes/code"
        "$program" inspect "$directory" --json >"$notes/inspected"
        mount -o remount,size=64m "$mounted"
        "$program" run "$job" --json >"$notes/resumed"
        cp -a "$directory" "$notes/run"
    "#;
    shell.arg(script).arg("sh").arg(env!("CARGO_BIN_EXE_seseragi"));
    shell.arg(&job.file).arg(&job.directory).arg(&mounted).arg(room).arg(&notes);
    let ended = Running::start(shell).end();
    let note = |name: &str| fs::read_to_string(notes.join(name)).unwrap_or_default();
    assert_eq!(ended.code, Some(0), "{part}: {ended:?}; {}", note("full"));
    assert_eq!(note("code").trim(), "1", "{part}: {}", note("full"));
    assert!(note("full").contains("the disk is full"), "{part}: {}", note("full"));
    let inspected: Value = serde_json::from_str(&note("inspected")).expect("JSON");
    let learnt = inspected["account"]["entries"].as_u64();
    assert!((1..48).contains(&learnt.expect("a number")), "{part}: {learnt:?} entries");
    assert_eq!(inspected["passed_over"], Value::Array(Vec::new()), "{part}: the newest is whole");
    let done = Job::at(&notes.join("run"));
    done.outcome().expect_same(&stage.unbroken, part);
}

#[test]
fn a_run_on_a_full_disk_fails_with_its_cause_and_goes_on_once_there_is_room() {
    if shell_with_mounts().is_none() {
        return eprintln!(
            "skipped: no file system can be mounted here, as root or as another user"
        );
    }
    let stage = Stage::set(10);
    // The checkpoints' disk, where a commit fails; and the pages', where a fetch does, while
    // the learner may be in the middle of an epoch.
    for (part, room) in [("", "1400k"), ("pages", "150k"), ("pages", "230k")] {
        let shell = shell_with_mounts().expect("it could be had before");
        fill(&stage, shell, part, room);
        fs::remove_dir_all(stage.folder.path().join(format!("full-{part}"))).expect("a folder");
    }
}
