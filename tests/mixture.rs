//! Sources that mix by weight, and that are attached and detached while the job runs: the same weights
//! whatever the number of workers, the delays and the kills.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]

#[path = "support/library.rs"]
mod library;
#[path = "support/running.rs"]
mod running;
#[path = "support/stage.rs"]
mod stage;

use std::{
    fs,
    path::Path,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    thread,
    time::Duration,
};

use graphs::{
    control::{
        Command,
        journal::{self, Journal},
    },
    events::Event,
    job::{Aozora, Source},
    listing::{AttachError, RosterError},
    run::{Reins, run},
};
use library::{Dice, Library};
use loopback::Server;
use running::{Job, Outcome};

/// Two libraries, each with its server.
struct Two {
    folder: tempfile::TempDir,
    first: Server,
    second: Server,
}

impl Two {
    fn libraries(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let serve = |name: &str, works, seed| {
            let library = Library::write(&folder.path().join(name), works, seed);
            library.serve(seed, Duration::from_millis(20))
        };
        let (first, second) = (serve("first", 36, seed), serve("second", 24, seed + 1));
        Self { folder, first, second }
    }

    /// A job over the first library.
    fn over_one(&self, name: &str, workers: usize) -> Job {
        let job = Job::new(&self.folder.path().join(name), &self.first.url(""), workers);
        let text = fs::read_to_string(&job.file).expect("it was written");
        // What is attached may reach loopback addresses only if the job itself says so.
        let text = text.replacen("[fetch]\n", "[fetch]\nallow_private = true\n", 1);
        fs::write(&job.file, text).expect("room for a job");
        job
    }

    /// A job over both, one of which is asked for three entries of four.
    fn over_both(&self, name: &str, workers: usize) -> Job {
        let job = self.over_one(name, workers);
        let text = fs::read_to_string(&job.file).expect("it was written");
        let (weight, mirror) = ("weight = 3.0", self.second.url(""));
        let second = format!(
            "{weight}\n\n[[source]]\nkind = \"aozora\"\nname = \"second\"\nweight = 1.0\n\
             mirror = \"{mirror}\"\n\n[flow]"
        );
        fs::write(&job.file, text.replacen("\n[flow]", &second, 1)).expect("room for a job");
        job
    }

    /// The second library, to be attached.
    fn second(&self) -> Source {
        let (name, mirror) = ("second".to_owned(), self.second.url(""));
        Source::Aozora(Aozora { name, mirror, weight: Some(1.0), ..Aozora::default() })
    }
}

/// Which source each entry is of, in catalogue order.
fn sources(outcome: &Outcome) -> Vec<&str> {
    let documents = outcome.documents.iter();
    documents.map(|document| document["source"].as_str().expect("a name")).collect()
}

/// Kills the job again and again, each time a little after it has told of so many commits.
fn kill_often(job: &Job, dice: &mut Dice) -> u32 {
    let mut kills = 0;
    for _ in 0..5 {
        let mut running = job.start();
        let mut commits = dice.below(4);
        let went_on = running.wait_for(|line| {
            commits -= u64::from(commits > 0 && line.starts_with("committed"));
            commits == 0
        });
        if !went_on || !running.kill() {
            break;
        }
        kills += 1;
    }
    kills
}

#[test]
fn weighted_sources_give_their_shares_and_the_same_weights_for_every_number_of_workers() {
    let two = Two::libraries(30);
    let reference = two.over_both("reference", 1);
    reference.run();
    let expected = reference.outcome();
    let order = sources(&expected);
    assert_eq!(order.len(), 60);
    // While both have entries left, every stretch of 12 has three of four from the first: 9 ± 1.
    for stretch in order[..44].windows(12) {
        let of_first = stretch.iter().filter(|name| **name == "aozora").count();
        assert!((8..=10).contains(&of_first), "{order:?}");
    }
    // Then the second goes on alone: 36 entries are used up when about 12 of its 24 are drawn.
    assert!(order[52..].iter().all(|name| *name == "second"), "{order:?}");

    let three = two.over_both("three", 3);
    three.run();
    three.outcome().expect_same(&expected, "3 workers");
    let killed = two.over_both("killed", 2);
    assert!(kill_often(&killed, &mut Dice(30)) > 0, "killed at least once");
    killed.run();
    killed.outcome().expect_same(&expected, "killed");
}

#[test]
fn a_journal_is_met_at_the_same_epochs_whatever_the_workers_and_the_kills() {
    let two = Two::libraries(31);
    let with_journal = |name: &str, workers| {
        let job = two.over_one(name, workers);
        fs::create_dir_all(&job.directory).expect("room for a run");
        let mut journal = Journal::open(&job.directory).expect("room");
        journal.append(4, Command::Attach { source: two.second() }).expect("room");
        journal.append(8, Command::Detach { name: "second".into() }).expect("room");
        job
    };
    let reference = with_journal("reference", 1);
    reference.run();
    let expected = reference.outcome();
    // Epochs of four: of the second is what was drawn from 16 to 31, about half of it.
    let order = sources(&expected);
    let of_second = |range: std::ops::Range<usize>| {
        order[range].iter().filter(|name| **name == "second").count()
    };
    assert_eq!((of_second(0..16), of_second(32..order.len())), (0, 0), "{order:?}");
    assert!((7..=9).contains(&of_second(16..32)), "{order:?}");
    assert_eq!(order.len(), 36 + of_second(16..32), "nothing of the first is lost");
    // The rate was warmed up anew with the first chunk that has words of the second.
    let inspected = reference.inspect();
    let progress = &inspected["models"][0]["trainer"]["progress"];
    let rewarmed = progress["rewarmed"].as_u64().expect("a step");
    assert!(rewarmed > 0 && Some(rewarmed) < progress["steps"].as_u64(), "{progress}");
    // And what was learnt before is learnt again, which changes the weights and nothing else.
    let forgetful = with_journal("forgetful", 1);
    let mut command = forgetful.command();
    command.args(["--set", "replay.share=0"]);
    assert_eq!(running::Running::start(command).end().code, Some(0));
    let without = forgetful.outcome();
    assert_eq!(without.documents, expected.documents);
    assert_ne!(without.digest, expected.digest);

    let mut dice = Dice(31);
    for workers in [2, 3] {
        let job = with_journal(&format!("killed-{workers}"), workers);
        assert!(kill_often(&job, &mut dice) > 0, "killed at least once");
        job.run();
        job.outcome().expect_same(&expected, &format!("{workers} workers, killed"));
    }
}

#[test]
fn a_source_attached_while_the_job_runs_gives_what_its_journal_gives() {
    let two = Two::libraries(32);
    let live = two.over_one("live", 2);
    let (events, told) = crossbeam_channel::unbounded();
    let (drain, client, lister) =
        (Arc::new(AtomicBool::new(false)), Arc::new(OnceLock::new()), Arc::default());
    let reins = Reins { events, drain, client, steering: None, lister };
    let lister: Arc<OnceLock<_>> = Arc::clone(&reins.lister);
    let job = graphs::job::Job::read(&live.file, &[]).expect("a job");
    let runs = thread::spawn(move || run(&job, &reins).expect("it ends well"));

    let learnt = told.iter().find(|event| matches!(event, Event::Learnt(2, _)));
    assert!(learnt.is_some(), "it has begun");
    let lister = lister.get().expect("it has sources");
    let waits = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let waits = waits.expect("a thread that waits");
    let attach = |source: Source| {
        let command = Command::Attach { source: source.clone() };
        let settle = |epoch| {
            let journal = Journal::open(&live.directory).map_err(std::io::Error::other);
            journal?.append(epoch, command).map_err(std::io::Error::other)
        };
        waits.block_on(lister.attach(source, settle))
    };
    // What cannot be attached is told to whoever asked, and the job goes on.
    let again = Source::Aozora(Aozora::default());
    let refused = attach(again).expect_err("the name is taken").to_string();
    assert!(refused.contains("\"aozora\" again"), "{refused}");
    let nowhere =
        Aozora { name: "nowhere".into(), mirror: two.second.url("/no"), ..Aozora::default() };
    let refused = attach(Source::Aozora(nowhere)).expect_err("it has no index");
    assert!(matches!(refused, AttachError::Listing(_)), "{refused}");
    let refused = lister.detach("nowhere", |_| Ok(()));
    assert!(matches!(refused, Err(RosterError::Unknown(_))), "{refused:?}");
    assert_eq!(
        journal::read(&live.directory).expect("readable"),
        [],
        "nothing of that is in the journal"
    );

    let epoch = attach(two.second()).expect("it can be read");
    assert!(epoch > 2, "what was learnt stays as it is");
    assert_eq!(journal::read(&live.directory).expect("readable").len(), 1);
    let finished = runs.join().expect("no panic");
    assert!(finished.complete);
    let outcome = live.outcome();
    assert_eq!((outcome.digest.as_str(), 60), (&*finished.weights_digest, outcome.documents.len()));
    let of_second = |line: &&serde_json::Value| line["source"] == "second";
    let first = outcome.documents.iter().find(of_second).expect("it was read");
    assert_eq!(first["epoch"].as_u64(), Some(epoch), "from the epoch on that was told");

    // The same journal, the same model; killed, too.
    let replayed = two.over_one("replayed", 3);
    fs::create_dir_all(&replayed.directory).expect("room for a run");
    copy_journal(&live.directory, &replayed.directory);
    assert!(kill_often(&replayed, &mut Dice(32)) > 0, "killed at least once");
    replayed.run();
    replayed.outcome().expect_same(&outcome, "the same journal");
}

fn copy_journal(from: &Path, to: &Path) {
    let name = "journal.jsonl";
    fs::copy(from.join(name), to.join(name)).expect("room for a journal");
}
