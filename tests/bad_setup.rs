//! A job that cannot be done as written, or where it should be, is refused in one line, before
//! anything is lost.

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use library::{good, page_of, text};
use loopback::Gate;
use program::{Ended, call, run, seseragi};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A folder with a text, and a job that reads it.
fn folder_with_a_job() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), text(1)).expect("a folder of ours");
    let job = job_over_texts(folder.path());
    (folder, job)
}

fn job_over_texts(folder: &Path) -> PathBuf {
    let pattern = folder.join("*.txt");
    library::job_over(folder, &format!("kind = \"files\"\npaths = [{pattern:?}]\n"))
}

fn in_words(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

#[test]
fn a_misspelt_key_is_refused_with_the_nearest_known_one_and_its_line() {
    let (_folder, job) = folder_with_a_job();
    let text = fs::read_to_string(&job).expect("just written");
    let misspelt = text.replace("batch = 4", "bacth = 4");
    let line = misspelt.lines().position(|line| line.contains("bacth")).expect("just put in") + 1;
    fs::write(&job, misspelt).expect("a folder of ours");
    let ended = run(&job, &[]);
    let error = ended.error(2);
    assert!(error.starts_with(&format!("error: could not read job {job:?}: ")), "{error}");
    assert!(error.contains(&format!("at line {line}, column 1")), "{error}");
    assert!(error.ends_with("unknown field `bacth`; did you mean `batch`?"), "{error}");
    let error = call(["export", in_words(&job), "--to", "/dev/null/nowhere"]);
    assert!(error.error(2).ends_with("did you mean `batch`?"));
}

#[test]
fn values_that_no_job_can_have_are_refused_with_their_key() {
    let (folder, job) = folder_with_a_job();
    let refused = [
        ("train.batch=-1", "error: could not read job "),
        ("train.batch=0", "error: could not use job: `train.batch` is 0; use 1 or more"),
        ("train.learning_rate=-0.5", "error: could not use job: `train.learning_rate` is -0.5; "),
        ("train.device=gpu", "error: could not use job: `train.device` is gpu; "),
        ("fetch.timeout=-1", "error: could not use job: `fetch.timeout` is -1; use seconds"),
        ("held_out.share=1.5", "error: could not use job: `held_out.share` is 1.5; use a share"),
        ("source.0.paths=[]", "error: could not use job: `source.0.paths` is empty; name files"),
        ("source.7.paths=[]", "error: could not read override \"source.7.paths=[]\""),
        ("train.batch", "error: could not read override \"train.batch\"; write it as key=value"),
        ("source.0.selector=p[", "error: could not use job: `source.0.selector` is p[; "),
    ];
    for (pair, expected) in refused {
        let ended = run(&job, &[pair]);
        let error = ended.error(2);
        assert!(error.starts_with(expected), "{pair}: {error}");
    }
    assert!(!folder.path().join("run/metrics.jsonl").exists(), "nothing was begun");
}

#[test]
fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("none.toml");
    let ended = run(&missing, &[]);
    assert!(ended.error(2).starts_with(&format!("error: could not read job {missing:?}: ")));

    let job = job_over_texts(folder.path());
    let ended = run(&job, &[]);
    assert!(ended.error(1).contains("could not find any file that matches"), "{ended:?}");

    let nowhere = folder.path().join("nowhere");
    for command in ["generate", "evaluate", "inspect"] {
        let ended = call([command, in_words(&nowhere)]);
        let expected = format!("error: there is no run in {nowhere:?}; make one with");
        assert!(ended.error(1).starts_with(&expected), "{command}: {ended:?}");
        assert!(!nowhere.exists(), "{command} makes no folder");
    }
}

#[test]
fn a_missing_dictionary_is_told_with_the_way_to_get_it() {
    let (folder, job) = folder_with_a_job();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder of ours");
    let told = |ended: &Ended| {
        let error = ended.error(1);
        let expected =
            format!("error: there is no dictionary in {}: run `make setup`", empty.display());
        assert!(error.starts_with(&expected), "{error}");
    };
    told(&run(&job, &[&format!("dictionary.directory={}", empty.display())]));
    let without =
        |command: &mut std::process::Command| Ended::of(command.env("SESERAGI_DICTIONARY", &empty));
    told(&without(&mut seseragi(["run", in_words(&job)])));
    told(&without(&mut seseragi(["export", in_words(&job), "--to", in_words(folder.path())])));
    let doctor = without(&mut seseragi(["doctor"]));
    told(&doctor);
    assert!(doctor.answer.contains("torch"), "what is there is told all the same: {doctor:?}");
    let doctor = without(&mut seseragi(["doctor", "--json"]));
    told(&doctor);
    let findings: Value = serde_json::from_str(&doctor.answer).expect("JSON all the same");
    let trouble = findings["dictionary_trouble"].as_str().expect("a text");
    assert!(trouble.starts_with("there is no dictionary in "), "{trouble}");
}

/// A file in word2vec's binary format with two vectors of four components.
fn vectors() -> Vec<u8> {
    let mut file = b"2 4\n".to_vec();
    for (word, vector) in [("川", [0.5f32, -0.5, 0.25, 1.0]), ("水", [1.0, 0.0, -1.0, 0.125])] {
        file.extend_from_slice(format!("{word} ").as_bytes());
        vector.iter().for_each(|component| file.extend_from_slice(&component.to_le_bytes()));
        file.push(b'\n');
    }
    file
}

#[test]
fn vectors_that_cannot_be_believed_are_refused_and_those_that_can_are_used() {
    let (folder, job) = folder_with_a_job();
    let file = folder.path().join("vectors.bin");
    let with = |bytes: &[u8], dimension: usize| {
        fs::write(&file, bytes).expect("a folder of ours");
        let (file, dimension) =
            (format!("vectors.file={}", file.display()), format!("model.embedding={dimension}"));
        run(&job, &[&file, &dimension])
    };
    let whole = vectors();
    let mut not_text = whole.clone();
    let word = whole.windows(3).position(|bytes| bytes == "水".as_bytes()).expect("it is there");
    not_text[word] = 0xff;
    let refused = [
        (&whole[..whole.len() - 3], 4, "it is cut short: "),
        (&whole, 8, "they have 4 dimensions, the job is for 8; change one or the other"),
        (&not_text, 4, "word 2 is not UTF-8; "),
        (b"", 4, "it has no vectors"),
        (b"\x89PNG\r\n\x1a\n", 4, "it is not a file of known vectors"),
    ];
    for (bytes, dimension, reason) in refused {
        let ended = with(bytes, dimension);
        let expected =
            format!("error: could not take the word vectors in {}: {reason}", file.display());
        assert!(ended.error(1).starts_with(&expected), "{ended:?}");
    }
    assert!(!folder.path().join("run/metrics.jsonl").exists(), "nothing was begun");
    with(&whole, 4).done();
    fs::remove_file(&file).expect("just written");
    let ended = run(&job, &[&format!("vectors.file={}", file.display())]);
    assert!(ended.error(1).contains("it could not be read; see that it is there"), "{ended:?}");
}

#[test]
fn a_run_directory_has_one_writer_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let gate = Gate::closed();
    let mut works = good(8);
    works.push(("held-back".to_owned(), library::page(&text(80)).behind(&gate)));
    let server = library::serve(works);
    let job = library::job(folder.path(), &server);
    let directory = folder.path().join("run");

    let mut first = seseragi(["run", in_words(&job), "--json"]);
    first.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let first = first.spawn().expect("the program starts");
    let (_, path) = page_of("held-back");
    server.wait_for("the first run to be under way", |log| log.count(&path) > 0);

    let second = run(&job, &[]);
    let expected =
        format!("error: run directory {directory:?} is in use by process {}; ", first.id());
    assert!(second.error(1).starts_with(&expected), "{second:?}");

    gate.open();
    let ended = first.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let outcome: Value = serde_json::from_slice(&ended.stdout).expect("its outcome");
    assert_eq!(library::account(&outcome)[0], 9, "the second one took nothing from the first");
    // The lock has ended with its holder.
    let third = run(&job, &[]).json();
    assert_eq!(third["weights_digest"], outcome["weights_digest"]);
}

/// Every file below a folder, by its path.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).expect("a file of ours"));
        }
    }
    files
}

#[test]
fn a_run_of_a_newer_format_is_left_as_it_is() {
    let (folder, job) = folder_with_a_job();
    run(&job, &["held_out.share=0"]).done();
    let checkpoints = folder.path().join("run/checkpoints");
    let newest = fs::read_dir(&checkpoints).expect("it has committed").next().expect("one");
    let newest = newest.expect("an entry").path();
    let [manifest, sum] = ["manifest.json", "manifest.json.sha256"].map(|name| newest.join(name));
    let kept = [&manifest, &sum].map(|path| (path, fs::read(path).expect("a file of ours")));
    let mut newer: Value = serde_json::from_slice(&kept[0].1).expect("JSON");
    assert_eq!(newer["format"], 2);
    newer["format"] = 99.into();
    let newer = newer.to_string();
    // With its sum, as a newer version would write it; beside the old sum it would be damage.
    let digest: String = Sha256::digest(&newer).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&manifest, newer).expect("a folder of ours");
    fs::write(&sum, format!("{digest}  manifest.json\n")).expect("a folder of ours");
    let before = contents(&checkpoints);

    let directory = folder.path().join("run");
    for ended in [
        run(&job, &["held_out.share=0"]),
        call(["inspect", in_words(&directory)]),
        call(["generate", in_words(&directory)]),
        call(["evaluate", in_words(&directory)]),
    ] {
        let error = ended.error(1);
        assert!(error.contains("has format 99, this seseragi reads format 2; use the"), "{error}");
    }
    assert_eq!(contents(&checkpoints), before, "nothing was written or removed");

    // The same run, its format put back, goes on.
    for (path, bytes) in kept {
        fs::write(path, bytes).expect("a folder of ours");
    }
    run(&job, &["held_out.share=0"]).done();
}

#[test]
fn a_run_goes_on_with_the_model_that_it_has_or_not_at_all() {
    let (folder, job) = folder_with_a_job();
    run(&job, &["held_out.share=0"]).done();
    let before = contents(&folder.path().join("run/checkpoints"));
    let ended = run(&job, &["held_out.share=0", "model.hidden=32"]);
    assert!(ended.error(2).contains("hidden"), "{ended:?}");
    assert_eq!(contents(&folder.path().join("run/checkpoints")), before);
}

#[test]
fn a_run_directory_that_cannot_be_written_to_is_named() {
    let (folder, job) = folder_with_a_job();
    let taken = folder.path().join("taken");
    fs::write(&taken, "").expect("a folder of ours");
    let ended = run(&job, &[&format!("directory={}", taken.display())]);
    let expected = format!("error: could not use run directory {taken:?}: ");
    assert!(ended.error(1).starts_with(&expected), "{ended:?}");
    let ended = call(["export", in_words(&job), "--to", in_words(&taken)]);
    assert!(
        ended.error(1).starts_with(&format!("error: could not write {taken:?}: ")),
        "{ended:?}"
    );
}
