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
use sha2::{Digest, Sha256};
use stage::{Stage, copy, files, name};

#[test]
fn whichever_file_of_a_checkpoint_is_damaged_it_is_named_and_the_one_before_is_used() {
    let stage = Stage::set(4);
    let half = stage::half_a_run(&stage, "half");
    let newest = half.checkpoints().pop().expect("a checkpoint");
    let before: u64 =
        name(&half.checkpoints()[half.checkpoints().len() - 2]).parse().expect("an epoch");
    let names: Vec<String> = files(&newest).iter().map(|file| name(file)).collect();
    assert!(names.len() > 10 && names.contains(&"manifest.json".to_owned()), "{names:?}");

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
    let foreign = text.replacen("\"format\": 1", "\"format\": 99", 1);
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

#[test]
fn a_run_on_a_full_disk_fails_with_its_cause_and_goes_on_once_there_is_room() {
    let Some(mut shell) = shell_with_mounts() else {
        return eprintln!(
            "skipped: no file system can be mounted here, as root or as another user"
        );
    };
    let stage = Stage::set(10);
    let job = stage.job("full");
    fs::create_dir_all(&job.directory).expect("room for a folder");
    let script = r#"
        mount -t tmpfs -o size="$3" none "$2"
        "$1" run "$4" --json 2>"$5/first" && exit 9 || echo $? >"$5/code"
        df "$2" >"$5/df"
        "$1" inspect "$2" --json >"$5/inspected" 2>"$5/second" || true
        mount -o remount,size=64m "$2"
        cp -a "$2" "$5/left"
        "$1" run "$4" --json >"$5/resumed"
        cp -a "$2" "$5/done"
    "#;
    let notes = stage.folder.path();
    let file = notes.join("full/job.toml");
    shell.arg(script).arg("sh").arg(env!("CARGO_BIN_EXE_seseragi")).arg(&job.directory);
    shell.arg("1400k").arg(&file).arg(notes);
    let ended = Running::start(shell).end();
    let note = |name: &str| fs::read_to_string(notes.join(name)).unwrap_or_default();
    assert_eq!(ended.code, Some(0), "{ended:?}; first: {}", note("first"));
    assert_eq!(note("code").trim(), "1", "{}", note("first"));
    assert!(note("first").contains("the disk is full"), "{}", note("first"));
    // What lies there is the mount point again: the file system was the shell's.
    let left = Job::at(&notes.join("left"));
    eprintln!("left by the full disk: {:?}", left.checkpoints());
    let done = Job::at(&notes.join("done"));
    done.outcome().expect_same(&stage.unbroken, "after the disk was full");
}
