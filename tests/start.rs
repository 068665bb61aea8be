//! Commands that need no model start without libtorch, and without the engine that has it.

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use object::{
    Endianness,
    elf::{DT_NEEDED, FileHeader64},
    read::elf::FileHeader,
};
use program::{Ended, run};
use tempfile::TempDir;

const FACE: &str = env!("CARGO_BIN_EXE_seseragi");
const ENGINE: &str = env!("CARGO_BIN_EXE_seseragi-engine");

/// The libraries that the system loads before a program begins, as its dynamic section names them.
fn needed(program: &str) -> Vec<String> {
    let file = fs::read(program).expect("Cargo has built it");
    let header = FileHeader64::<Endianness>::parse(&*file).expect("a program of this system");
    let endian = header.endian().expect("there are but two");
    let sections = header.sections(endian, &*file).expect("it is whole");
    let table = sections.dynamic_table(endian, &*file).expect("it is whole");
    table
        .iter()
        .filter(|entry| entry.tag == DT_NEEDED)
        .map(|entry| table.string(entry).expect("it is whole"))
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

#[test]
fn the_face_is_linked_without_libtorch() {
    let is_torch = |name: &String| ["libtorch", "libc10"].iter().any(|of| name.starts_with(of));
    assert!(needed(ENGINE).iter().any(is_torch), "the engine has it: {:?}", needed(ENGINE));
    let face = needed(FACE);
    assert!(
        face.iter().any(|name| name.starts_with("libc.so")),
        "these are its libraries: {face:?}"
    );
    assert!(
        !face.iter().any(is_torch),
        "{face:?}: something of the face calls the model; `half.with_model` in src/lib.rs is the only way"
    );
}

/// A finished run over three texts.
static RUN: LazyLock<PathBuf> = LazyLock::new(|| {
    // Not a temporary folder: nothing would ever remove it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("start");
    let _was_never_made = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("Cargo's own folder");
    for number in 1..=3 {
        let text = library::text(number);
        fs::write(folder.join(format!("{number}.txt")), text).expect("a folder of ours");
    }
    let pattern = folder.join("*.txt");
    let job = library::job_over(&folder, &format!("kind = \"files\"\npaths = [{pattern:?}]\n"));
    let outcome = run(&job, &["held_out.share=0"]).json();
    let first_step = outcome["first_step_seconds"].as_f64().expect("it has learnt");
    assert!(first_step > 0.0, "{outcome}");
    folder
});

/// A copy of the face without the engine, and of the run.
struct Alone {
    folder: TempDir,
}

impl Alone {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::copy(FACE, folder.path().join("seseragi")).expect("room for the program");
        let copied = Command::new("cp").arg("-r").arg(RUN.join("run")).arg(folder.path()).status();
        assert!(copied.expect("there is cp").success());
        Self { folder }
    }

    fn call(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(self.folder.path().join("seseragi"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        Ended::of(&mut command)
    }
}

#[test]
fn help_needs_no_engine() {
    let alone = Alone::new();
    let overview = alone.call(&["--help"]).done();
    let (_, list) = overview.split_once("Commands:\n").expect("it lists commands");
    let (list, _) = list.split_once("\n\n").expect("options follow");
    let is_first = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names: Vec<&str> =
        list.lines().filter(is_first).filter_map(|line| line.split_whitespace().next()).collect();
    for name in ["run", "inspect", "status", "detach", "help"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for name in names {
        let help = alone.call(&["help", name]).done();
        assert!(help.contains("Usage: seseragi"), "{help}");
        assert_eq!(alone.call(&[name, "--no-such-flag"]).code, Some(2), "{name}");
    }
    let version = alone.call(&["--version"]).done();
    assert_eq!(version.trim(), concat!("seseragi ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_run_is_steered_looked_at_and_drawn_without_the_engine() {
    let alone = Alone::new();
    let source = "kind = \"files\"\nname = \"more\"\npaths = [\"more/*.txt\"]\n";
    fs::write(alone.folder.path().join("more.toml"), source).expect("a folder of ours");
    let first = format!(
        "run: from epoch {} on, when the run is started again: ",
        alone.call(&["status", "--dir", "run", "--json"]).json()["committed"]
            .as_u64()
            .expect("it has learnt")
            + 1
    );
    for (arguments, answer) in [
        (&["scale", "2"][..], "2 workers"),
        (&["scale", "auto"], "as many workers as"),
        (&["pause"], "paused"),
        (&["resume"], "resumed"),
        (&["attach", "more.toml"], "source \"more\""),
        (&["detach", "more"], "source \"more\""),
    ] {
        let told = alone.call(&[arguments, &["--dir", "run"]].concat()).done();
        let told = told.strip_prefix(&first).unwrap_or_else(|| panic!("{told} without {first}"));
        assert!(told.contains(answer), "{told}");
    }
    let drain = alone.call(&["drain", "--dir", "run"]);
    assert!(drain.error(1).contains("is not going"), "{drain:?}");
    let waiting = alone.call(&["status", "--dir", "run", "--json"]).json();
    // Of two that say how many work, and of two that say whether it goes on, the one given last.
    assert_eq!(waiting["commands"].as_array().map(Vec::len), Some(4), "{waiting}");

    let inspected = alone.call(&["inspect", "run", "--json"]).json();
    assert_eq!(inspected["account"]["learnt"], 3, "{inspected}");
    assert_eq!(inspected["documents"].as_array().map(Vec::len), Some(3), "{inspected}");
    assert!(alone.call(&["inspect", "run"]).done().contains("weights_digest "));
    assert!(alone.call(&["inspect", "run", "--changes"]).done().contains("3 added"));
    for picture in alone.call(&["plot", "run"]).done().lines() {
        let picture = fs::metadata(alone.folder.path().join(picture)).expect("it was drawn");
        assert!(picture.len() > 1000, "{picture:?}");
    }
}

#[test]
fn what_needs_the_model_tells_that_the_engine_is_missing() {
    let alone = Alone::new();
    let job = RUN.join("job.toml");
    let job = job.to_str().expect("a path of ours");
    for arguments in [
        &["run", job][..],
        &["demo"],
        &["export", job, "--to", "corpus"],
        &["generate", "run"],
        &["evaluate", "run"],
        &["vectors", "run", "--out", "vectors.txt"],
        &["inspect", "run", "--graph"],
        &["doctor"],
    ] {
        let ended = alone.call(arguments);
        let error = ended.error(1);
        assert!(error.starts_with("error: could not find the engine, "), "{error}");
        let engine = alone.folder.path().join("seseragi-engine");
        assert!(error.contains(engine.to_str().expect("a path of ours")), "{error}");
    }
    // Found there, it is used: this one cannot be a program.
    let engine = alone.folder.path().join("seseragi-engine");
    fs::write(&engine, "no program").expect("a folder of ours");
    let ended = alone.call(&["doctor"]);
    assert!(ended.error(1).starts_with("error: could not start the engine "), "{ended:?}");
}

#[test]
fn the_engine_does_everything_and_answers_to_its_own_name() {
    let engine = |arguments: &[&str]| {
        let mut command = Command::new(ENGINE);
        command.args(arguments).stdin(Stdio::null());
        Ended::of(&mut command)
    };
    let directory = RUN.join("run");
    let directory = directory.to_str().expect("a path of ours");
    let answers = [
        &["status", "--dir", directory][..],
        &["inspect", directory, "--json"],
        &["inspect", directory, "--graph"],
        &["generate", directory, "--words", "5"],
        &["--version"],
    ];
    for arguments in answers {
        assert_eq!(engine(arguments).done(), program::call(arguments).done(), "{arguments:?}");
    }
    assert!(engine(&["run", "--help"]).done().contains("Usage: seseragi-engine run "));
}
