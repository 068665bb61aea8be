//! The commands as a person or a script meets them: help, answers, exit codes.

#[path = "rig/library.rs"]
mod library;
#[path = "rig/program.rs"]
mod program;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use library::text;
use program::{call, run};
use serde_json::Value;

/// A trained run of the sample library, made once for all tests of this file.
static RUN: LazyLock<PathBuf> = LazyLock::new(|| {
    // Not a temporary folder: nothing would ever remove it.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("face");
    let _was_never_made = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("Cargo's own folder");
    let job = library::job_over(&folder, "kind = \"sample\"\n");
    let outcome = run(&job, &[]).json();
    let keys = [
        "directory",
        "complete",
        "epoch",
        "steps",
        "chunks",
        "weights_digest",
        "account",
        "held_out",
    ];
    assert!(keys.iter().all(|key| !outcome[key].is_null()), "{outcome}");
    let [_, _, held_out, ..] = library::account(&outcome);
    assert!(held_out > 0, "there is something to score");
    folder.join("run")
});

fn the_run() -> &'static str {
    RUN.to_str().expect("a path of ours")
}

/// The text that `generate` writes with these arguments.
fn written(arguments: &[&str]) -> String {
    let all = ["generate", the_run(), "--json"].into_iter().chain(arguments.iter().copied());
    let answer = call(all).json();
    answer["text"].as_str().expect("a text").to_owned()
}

fn number(answer: &Value, key: &str) -> f64 {
    answer[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {answer}"))
}

#[track_caller]
fn assert_close(one: f64, other: f64) {
    assert!((one - other).abs() <= 1e-9 * one.abs().max(1.0), "{one} and {other}");
}

#[test]
fn every_command_shows_an_example_and_refuses_what_it_does_not_know() {
    let commands = [
        "demo", "run", "export", "generate", "evaluate", "inspect", "plot", "report", "vectors",
        "doctor",
    ];
    let overview = call(["--help"]).done();
    assert!(overview.contains("Exit codes: 0 done, 1 failed, 2 wrong usage"), "{overview}");
    for command in commands {
        assert!(overview.contains(&format!("\n  {command} ")), "{command} is not listed");
        let help = call([command, "--help"]).done();
        assert!(help.contains(&format!("Example:\n  seseragi {command}")), "{help}");
        assert_eq!(call([command, "--no-such-flag"]).code, Some(2), "{command}");
    }
    for no_command in [vec![], vec!["no-such-command"], vec!["run"], vec!["export", "a.toml"]] {
        assert_eq!(call(&no_command).code, Some(2), "{no_command:?}");
    }
    assert_eq!(call(["--version"]).done().trim(), concat!("seseragi ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_run_tells_its_progress_beside_its_outcome() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a.txt"), text(1)).expect("a folder of ours");
    let pattern = folder.path().join("*.txt");
    let job = library::job_over(folder.path(), &format!("kind = \"files\"\npaths = [{pattern:?}]"));
    let ended = call(["run", job.to_str().expect("a path of ours"), "--set", "held_out.share=0"]);
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    for part in ["source files: 1 entries; 1 to read", "chunk 0: ", "committed epoch "] {
        assert!(ended.messages.contains(part), "{part}: {}", ended.messages);
    }
    let lines: Vec<&str> = ended.answer.lines().collect();
    let [complete, learnt, digest] = lines[..] else { panic!("{}", ended.answer) };
    assert!(complete.ends_with("1 entries = 1 learnt + 0 held out + 0 duplicates + 0 rejects"));
    assert!(learnt.starts_with("learnt "), "{learnt}");
    assert!(digest.starts_with("weights_digest "), "{digest}");
}

#[test]
fn equal_seeds_write_equal_texts_and_others_others() {
    let first = written(&["--words", "60", "--seed", "7"]);
    assert!(first.chars().count() >= 20, "{first}");
    assert_eq!(written(&["--words", "60", "--seed", "7"]), first);
    assert_ne!(written(&["--words", "60", "--seed", "8"]), first);
    let longer = written(&["--words", "120", "--seed", "7"]);
    assert!(longer.starts_with(&first) && longer.len() > first.len(), "{longer}");
}

#[test]
fn temperature_and_top_p_decide_how_freely_words_are_drawn() {
    let free =
        |seed| written(&["--words", "40", "--temperature", "1.5", "--top-p", "1", "--seed", seed]);
    assert_ne!(free("1"), free("2"));
    // The likeliest word alone is left, so there is nothing to draw.
    let greedy = written(&["--words", "40", "--temperature", "0", "--seed", "1"]);
    assert_eq!(written(&["--words", "40", "--temperature", "0", "--seed", "2"]), greedy);
    assert_eq!(written(&["--words", "40", "--top-p", "0.000001", "--seed", "3"]), greedy);
    for (flag, value) in [("--temperature", "-1"), ("--top-p", "0"), ("--top-p", "1.5")] {
        let assigned = format!("{flag}={value}");
        let ended = call(["generate", the_run(), &assigned]);
        assert!(ended.error(2).contains(&flag[2..].replace('-', "_")), "{ended:?}");
    }
    assert_eq!(call(["generate", the_run(), "--words", "many"]).code, Some(2));
    assert_eq!(call(["generate", the_run(), "--device", "gpu"]).code, Some(2));
}

#[test]
fn a_prompt_is_gone_on_from_whether_given_or_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prompt.txt");
    let prompt = "川の水が、";
    fs::write(&file, prompt).expect("a folder of ours");
    let from_file = ["--prompt-file", file.to_str().expect("a path of ours")];
    let continued = written(&["--words", "30", "--prompt", prompt]);
    assert_eq!(written(&[&["--words", "30"], &from_file[..]].concat()), continued);
    assert_ne!(written(&["--words", "30", "--prompt", "あした"]), continued);
    let plain = call(["generate", the_run(), "--words", "30", "--prompt", prompt]).done();
    assert_eq!(plain, format!("{prompt}{continued}\n"));
    // Whatever it is made of: the empty one, blanks, letters that the run has never seen.
    for prompt in ["", " ", "\n", "Ünïcödé 🙂 \u{200d}", "𠮷"] {
        call(["generate", the_run(), "--words", "3", "--prompt", prompt]).done();
    }
    assert_eq!(
        call([&["generate", the_run(), "--prompt", "a"], &from_file[..]].concat()).code,
        Some(2)
    );
    let missing = folder.path().join("none.txt");
    let missing = missing.to_str().expect("a path of ours");
    let ended = call(["generate", the_run(), "--prompt-file", missing]);
    let expected = format!("error: could not read the prompt from \"{missing}\"");
    assert!(ended.error(1).starts_with(&expected), "{ended:?}");
}

#[test]
fn a_score_is_the_same_in_every_unit_that_it_is_told_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, page] = ["one.txt", "page.html"].map(|name| folder.path().join(name));
    let (first, second) = (format!("{}\n", text(40)), format!("{}\n", text(41)));
    fs::write(&one, &first).expect("a folder of ours");
    fs::write(&page, library::html(second.trim_end())).expect("a folder of ours");
    let pattern = folder.path().join("*");
    let paths = [&one, &page, &pattern].map(|path| path.to_str().expect("a path of ours"));
    let score = |file: &str| call(["evaluate", the_run(), file, "--json"]).json();
    let [of_one, of_page, of_both] = paths.map(score);
    for (score, documents, characters) in [
        (&of_one, 1.0, first.chars().count()),
        (&of_page, 1.0, second.chars().count()),
        (&of_both, 2.0, first.chars().count() + second.chars().count()),
    ] {
        let [nats, words] = ["nats", "words"].map(|key| number(score, key));
        let characters = characters as f64;
        assert_close(number(score, "documents"), documents);
        assert_close(number(score, "characters"), characters);
        assert_close(number(score, "nats_per_character"), nats / characters);
        assert_close(
            number(score, "bits_per_character"),
            nats / characters / std::f64::consts::LN_2,
        );
        assert_close(number(score, "perplexity_per_word"), (nats / words).exp());
        let spelled = number(score, "spelled");
        assert!(0.0 < spelled && spelled < words, "{score}");
        assert!(nats > 0.0 && number(score, "ids") > words, "{score}");
    }
    // Documents are scored apart, so the sum is the sum.
    let sum = |key| number(&of_one, key) + number(&of_page, key);
    for key in ["words", "spelled", "ids"] {
        assert_close(number(&of_both, key), sum(key));
    }
    assert!((number(&of_both, "nats") - sum("nats")).abs() < 1e-3 * sum("nats"));
}

#[test]
fn without_files_a_run_is_scored_on_what_it_held_out() {
    let held_out = call(["evaluate", the_run(), "--json"]).json();
    let inspected = call(["inspect", the_run(), "--json"]).json();
    let documents = inspected["documents"].as_array().expect("a list").iter();
    let held = documents.filter(|line| line["fate"] == "held_out").count();
    assert_close(number(&held_out, "documents"), held as f64);
    let told = call(["evaluate", the_run()]).done();
    let bits = format!("{:.4} bits per character", number(&held_out, "bits_per_character"));
    assert!(told.starts_with(&bits), "{told}");

    let ended = call(["evaluate", the_run(), "/no/such/file.txt"]);
    assert!(ended.error(1).starts_with("error: could not find any file that matches"), "{ended:?}");
}

#[test]
fn inspect_tells_what_the_model_was_made_from() {
    let answer = call(["inspect", the_run(), "--json"]).json();
    let account = &answer["account"];
    let documents = answer["documents"].as_array().expect("a list");
    assert_eq!(account["entries"], documents.len());
    for document in documents {
        let text = |key: &str| document[key].as_str().expect("a text");
        assert!(!text("id").is_empty() && !text("title").is_empty(), "{document}");
        if document["fate"] == "learnt" {
            assert!(text("url").starts_with("http://127.0.0.1:"), "{document}");
            assert!(!text("credit").is_empty() && !text("revision").is_empty(), "{document}");
            assert_eq!(text("content").len(), 64, "SHA-256 of the page");
            assert!(document["chunk"].as_u64() <= document["last_chunk"].as_u64(), "{document}");
        }
    }
    let told = call(["inspect", the_run()]).done();
    let digest = answer["weights_digest"].as_str().expect("a text");
    assert!(told.contains(&format!("weights_digest {digest}")), "{told}");
    let titles = documents.iter().filter_map(|document| document["title"].as_str());
    for title in titles {
        assert!(told.contains(title), "{title} is not told");
    }
}

#[test]
fn a_second_run_asks_only_for_what_has_changed_and_learns_nothing_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = library::serve(library::good(10));
    let job = library::job(folder.path(), &server);
    let first = run(&job, &[]).json();
    let asked = server.requests();
    assert!(asked.iter().all(|request| !request.conditional()), "nothing was known");
    let pages = asked.iter().filter(|request| request.path.ends_with(".html")).count();
    assert_eq!(pages, 10);

    let second = run(&job, &[]).json();
    let mut again = server.requests().split_off(asked.len());
    again.retain(|request| request.path != "/robots.txt");
    let paths: Vec<&str> = again.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, [library::INDEX], "every page is in the account");
    assert!(again[0].conditional());
    for key in ["weights_digest", "account", "steps", "chunks"] {
        assert_eq!(second[key], first[key], "{key}");
    }

    // Another run that shares the pages asks for each, but receives none of them.
    let before = server.requests().len();
    let pages = format!("fetch.cache_dir={}", folder.path().join("run/pages").display());
    let other = format!("directory={}", folder.path().join("other").display());
    let third = run(&job, &[&pages, &other]).json();
    let mut again = server.requests().split_off(before);
    again.retain(|request| request.path != "/robots.txt");
    assert_eq!(again.len(), 11, "the index and ten pages");
    assert!(again.iter().all(loopback::Request::conditional));
    for key in ["weights_digest", "account", "steps", "chunks"] {
        assert_eq!(third[key], first[key], "{key}");
    }
}

#[test]
fn doctor_finds_what_every_job_needs() {
    let told = call(["doctor"]).done();
    for part in ["seseragi ", "torch ", "cuda ", "gpus ", "dictionary ", "小川|が|"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let findings = call(["doctor", "--json"]).json();
    assert_eq!(findings["version"], env!("CARGO_PKG_VERSION"));
    let segmentation = findings["segmentation"].as_str().expect("a text");
    assert_eq!(segmentation.replace('|', ""), "小川がせせらぐ。");
    assert!(segmentation.starts_with("小川|が|"), "{segmentation}");
    assert!(findings["dictionary_trouble"].is_null());
    assert!(findings["torch"].as_str().is_some_and(|version| version.starts_with("2.")));
}

#[test]
fn whoever_reads_the_answer_may_stop_reading() {
    let mut doctor = program::seseragi(["doctor"]);
    doctor.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut doctor = doctor.spawn().expect("the program starts");
    drop(doctor.stdout.take()); // closed before anything was written
    let ended = doctor.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_tells() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = library::job_over(folder.path(), "kind = \"sample\"\n");
    let mut run = program::seseragi([OsStr::new("run"), job.as_os_str(), OsStr::new("--json")]);
    run.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut run = run.spawn().expect("the program starts");
    drop(run.stderr.take()); // closed before anything was told
    let ended = run.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", ended.status);
    let outcome: Value = serde_json::from_slice(&ended.stdout).expect("an outcome");
    assert_eq!(outcome["complete"], true);
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_for_which_there_is_no_room_is_no_mistake_of_the_program() {
    let full = fs::File::create("/dev/full").expect("Linux has it");
    let mut inspect = program::seseragi(["inspect", the_run()]);
    inspect.stdout(full).stderr(std::process::Stdio::piped());
    let ended = inspect.spawn().and_then(|run| run.wait_with_output()).expect("it ends");
    let messages = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{messages}");
    assert!(messages.starts_with("error: could not print the answer"), "{messages}");
    assert!(!messages.contains("mistake"), "{messages}");
}

#[test]
fn a_drain_does_not_wait_for_a_chunk_that_takes_hours() {
    let folder = tempfile::tempdir().expect("a folder");
    let job = folder.path().join("job.toml");
    let directory = folder.path().join("run");
    let text = format!(
        "directory = {directory:?}\n[[source]]\nkind = \"sample\"\n[chunk]\nwords = 1000\n\
         [model]\nlayers = 1\nhidden = 8\nembedding = 8\n[train]\npasses = 1000000\n"
    );
    fs::write(&job, text).expect("a folder of ours");
    let mut run = program::seseragi(["run", job.to_str().expect("a path of ours")]);
    run.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut run = run.spawn().expect("the program starts");
    let told = std::io::BufReader::new(run.stderr.take().expect("it is piped"));
    let mut lines = std::io::BufRead::lines(told).map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("first step")), "it trains");
    let kill = std::process::Command::new("kill").args(["-TERM", &run.id().to_string()]).status();
    assert!(kill.expect("there is kill").success());
    // Not for hours: the chunk is left, and as none was finished nothing was learnt.
    assert!(lines.any(|line| line.starts_with("draining")), "it says so");
    lines.for_each(drop);
    let ended = run.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0));
    let answer = String::from_utf8(ended.stdout).expect("it prints UTF-8");
    assert!(answer.starts_with("drained") && answer.contains(": 0 entries ="), "{answer}");
}
