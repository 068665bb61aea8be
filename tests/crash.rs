//! Killed at any instant, or asked to stop: the next run goes on from the newest checkpoint and ends
//! as the unbroken one does, in weights and in lineage.
//!
//! `SESERAGI_KILLS` says how often the first test kills, 30 times by default.

#![allow(dead_code, reason = "each file of tests uses a part of what supports them")]
#![allow(clippy::print_stderr, reason = "tells a person what was measured")]

#[path = "support/library.rs"]
mod library;
#[path = "support/running.rs"]
mod running;
#[path = "support/stage.rs"]
mod stage;

use std::time::Duration;

use library::Dice;
use running::Job;
use stage::{Stage, half_a_run, is_aside};

/// Kills the job at an instant that the dice choose. False if it ended before.
fn kill_somewhere(job: &Job, dice: &mut Dice, took: Duration) -> bool {
    let mut running = job.start();
    let went_on = match dice.below(4) {
        // Anywhere, starting and resuming included.
        0 => running.run_until(took.mul_f64(dice.share())),
        // After some line that it tells.
        1 => {
            let mut lines = dice.below(16);
            running.wait_for(|_| {
                lines = lines.saturating_sub(1);
                lines == 0
            })
        }
        // Just after a commit was told of: while what is too old is removed, say.
        2 => {
            let mut commits = dice.below(4);
            running.wait_for(|line| {
                commits -= u64::from(commits > 0 && line.starts_with("committed"));
                commits == 0
            })
        }
        // While a checkpoint is being written.
        _ => running.run_while(|_| !job.in_checkpoints().iter().any(|path| is_aside(path))),
    };
    // And some microseconds more, so that no place in the code is spared.
    for _ in 0..dice.below(200_000) {
        std::hint::spin_loop();
    }
    went_on && running.kill()
}

#[test]
fn a_run_killed_at_any_instant_ends_as_the_unbroken_one() {
    let wanted =
        std::env::var("SESERAGI_KILLS").map_or(30, |kills| kills.parse().expect("a number"));
    let stage = Stage::set(2);
    let mut dice = Dice(2);
    let (mut kills, mut lives) = (0, 0);
    while kills < wanted {
        let job = stage.job(&format!("killed-{lives}"));
        lives += 1;
        let mut of_this_life = 0;
        loop {
            stage.library.trouble(&stage.server, &mut dice);
            if !kill_somewhere(&job, &mut dice, stage.took) {
                break;
            }
            of_this_life += 1;
            if of_this_life == 12 {
                break;
            }
        }
        kills += of_this_life;
        stage.expect_unbroken(&job, &format!("life {lives}, killed {of_this_life} times"));
    }
    eprintln!("killed {kills} times in {lives} lives");
}

#[test]
fn a_run_killed_twice_within_a_second_of_each_start_ends_as_the_unbroken_one() {
    let stage = Stage::set(3);
    let mut dice = Dice(3);
    let job = stage.job("impatient");
    let mut kills = 0;
    // Until there is something to resume, a kill within a second may well leave nothing.
    let mut first = job.start();
    first.wait_for_commits(1);
    assert!(first.kill(), "killed after its first commit");
    for _ in 0..4 {
        for _ in 0..2 {
            let mut running = job.start();
            let within = Duration::from_secs(1).mul_f64(dice.share());
            kills += u32::from(running.run_until(within) && running.kill());
        }
    }
    assert!(kills >= 4, "{kills} kills");
    stage.expect_unbroken(&job, &format!("killed {kills} times"));
}

#[test]
fn signals_drain_to_a_commit_and_the_next_run_goes_on() {
    let stage = Stage::set(7);
    let mut dice = Dice(7);
    for (number, signal) in ["TERM", "INT", "TERM", "INT"].into_iter().enumerate() {
        let of = format!("drained by SIG{signal}, {number}");
        let job = stage.job(&of);
        let mut running = job.start();
        // At first at once: there is nothing to commit yet. Then anywhere between.
        let mut lines = dice.below(20) * u64::from(number > 0);
        let seen = running.wait_for(|_| {
            lines = lines.saturating_sub(1);
            lines == 0
        });
        assert!(seen, "{of}: it ended before the signal");
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{of}: {ended:?}");
        assert!(ended.line("draining to a commit").is_some(), "{of}: {ended:?}");
        let said = ended.json();
        if said["epoch"].is_u64() {
            let inspected = job.inspect();
            assert_eq!(inspected["epoch"], said["epoch"], "{of}: it ends with a commit");
            assert_eq!(inspected["weights_digest"], said["weights_digest"], "{of}");
        }
        stage.expect_unbroken(&job, &of);
    }
}

#[test]
fn a_run_drained_at_the_very_end_of_its_catalogue_still_learns_its_last_words() {
    let stage = Stage::set(8);
    let mut drained = 0;
    for number in 0..3 {
        let job = stage.job(&format!("late-{number}"));
        let mut running = job.start();
        // 48 works in fours are epochs 0 to 11; some commits are left out where the disk is slow.
        let late = running.wait_for(|line| {
            let epoch =
                line.strip_prefix("committed epoch ").and_then(|rest| rest.split(';').next());
            epoch.and_then(|epoch| epoch.parse::<u64>().ok()).is_some_and(|epoch| epoch >= 9)
        });
        assert!(late, "a late commit");
        running.signal("TERM");
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        drained += u32::from(ended.json()["complete"] == false);
        stage.expect_unbroken(&job, "drained at the end");
    }
    eprintln!("{drained} of 3 were drained before their end");
}

#[test]
fn a_second_signal_stops_at_once() {
    let stage = Stage::set(9);
    let job = stage.job("hasty");
    let mut running = job.start();
    running.wait_for_commits(1);
    // Stopped in the sense of the shell meanwhile, so that it meets both at once.
    running.signal("STOP");
    running.signal("TERM");
    running.signal("INT");
    running.signal("CONT");
    let ended = running.end();
    let stopped = ended.line("stopped at once").is_some();
    assert!(stopped && matches!(ended.code, Some(130 | 143)), "{ended:?}");
    stage.expect_unbroken(&job, "stopped at once");
}

#[test]
fn resuming_and_committing_are_quick() {
    let stage = Stage::set(11);
    let job = half_a_run(&stage, "half");
    let ended = stage.expect_unbroken(&job, "resumed");
    let first = ended.line("first step").expect("the first new step is told");
    eprintln!("{first}; {}", ended.line("resumed").expect("it was resumed"));
    let mut stalls: Vec<f64> = ended
        .told
        .iter()
        .filter_map(|line| line.split_once("stood still for ")?.1.strip_suffix(" ms")?.parse().ok())
        .collect();
    stalls.sort_by(f64::total_cmp);
    assert!(!stalls.is_empty(), "stalls are told");
    eprintln!(
        "{} commits: training stood still for {} ms in the middle one, {} ms at most",
        stalls.len(),
        stalls[stalls.len() / 2],
        stalls[stalls.len() - 1],
    );
}
