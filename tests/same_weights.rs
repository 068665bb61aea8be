//! The same weights, whatever the number of workers and whenever pages arrive.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]

#[path = "support/library.rs"]
mod library;
#[path = "support/running.rs"]
mod running;

use std::time::Duration;

use library::Library;
use running::Job;

#[test]
fn the_weights_are_the_same_for_every_number_of_workers_and_every_delay() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = Library::write(&folder.path().join("library"), 48, 1);
    let prompt = library.serve(0, Duration::ZERO);
    let reference = Job::new(&folder.path().join("reference"), &prompt.url(""), 1);
    let ended = reference.run();
    let expected = reference.outcome();
    assert_eq!(ended.json()["weights_digest"], expected.digest.as_str());
    assert_eq!(expected.documents.len(), 48);
    // Every 12 works: 1 missing, 1 without text, 1 repeated.
    assert_eq!((expected.count("rejected"), expected.count("duplicate")), (8, 4));
    assert!(expected.count("held_out") > 0, "something to hold out");
    assert!(ended.json()["chunks"].as_u64() > Some(8), "enough to learn");

    for workers in 1..=4 {
        let seed = workers as u64;
        let slow = library.serve(seed, Duration::from_millis(60));
        let job =
            Job::new(&folder.path().join(format!("workers-{workers}")), &slow.url(""), workers);
        let ended = job.run();
        let found = job.outcome();
        assert_eq!(ended.json()["weights_digest"], found.digest.as_str());
        // The address is that of the server, and each has its own.
        found.elsewhere(&slow.url("")).expect_same(
            &expected.elsewhere(&prompt.url("")),
            &format!("{workers} workers, delays drawn by {seed}"),
        );
        assert_eq!(job.measured_chunks(), reference.measured_chunks());
    }
}
