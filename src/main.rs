//! The face of seseragi: commands, what they print, and exit codes.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where printing belongs")]

mod client;
mod commands;
mod plots;
mod progress;
mod server;
mod signals;
mod tensorboard;

use std::{os::unix::process::CommandExt, process::ExitCode};

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// Rust allocates here and libtorch by malloc, which `model::device::keep_freed_memory` gives a
/// single arena: so that workers that allocate text and the trainer never wait for each other.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// One streaming job from the web to a language model.
///
/// Web pages are scraped, their text is tokenized and embedded by parallel dataflow operators, and
/// a recurrent model is trained on each chunk as it arrives.
#[derive(Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  seseragi demo
  seseragi run jobs/aozora.toml --set train.passes=2
  seseragi generate runs/aozora --prompt 雨が --words 200

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

#[derive(Subcommand)]
enum Command {
    Demo(commands::demo::Demo),
    Run(commands::run::Run),
    Tune(commands::tune::Tune),
    Export(commands::export::Export),
    Generate(commands::generate::Generate),
    Evaluate(commands::evaluate::Evaluate),
    Inspect(commands::inspect::Inspect),
    Plot(commands::plot::Plot),
    Vectors(commands::vectors::Vectors),
    Doctor(commands::doctor::Doctor),
    Scale(commands::steer::Scale),
    Status(commands::steer::Status),
    Pause(commands::steer::Pause),
    Resume(commands::steer::Resume),
    Drain(commands::steer::Drain),
    Attach(commands::steer::Attach),
    Detach(commands::steer::Detach),
}

fn main() -> ExitCode {
    end_with_a_panic();
    wait_without_spinning();
    let done = match Arguments::parse().command {
        Command::Demo(demo) => demo.execute(),
        Command::Run(run) => run.execute(),
        Command::Tune(tune) => tune.execute(),
        Command::Export(export) => export.execute(),
        Command::Generate(generate) => generate.execute(),
        Command::Evaluate(evaluate) => evaluate.execute(),
        Command::Inspect(inspect) => inspect.execute(),
        Command::Plot(plot) => plot.execute(),
        Command::Vectors(vectors) => vectors.execute(),
        Command::Doctor(doctor) => doctor.execute(),
        Command::Scale(scale) => scale.execute(),
        Command::Status(status) => status.execute(),
        Command::Pause(pause) => pause.execute(),
        Command::Resume(resume) => resume.execute(),
        Command::Drain(drain) => drain.execute(),
        Command::Attach(attach) => attach.execute(),
        Command::Detach(detach) => detach.execute(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::from(if commands::is_configuration(&error) { 2 } else { 1 })
        }
    }
}

/// The error and its causes in one line, leaving out causes that the line tells already.
fn chain(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    if FULL.iter().any(|full| line.contains(full)) {
        line += "; the disk is full: make room and run it again, it goes on from there";
    }
    line
}

/// What the system says where there is no room left: ENOSPC and EDQUOT.
const FULL: [&str; 2] = ["(os error 28)", "(os error 122)"];

/// Starts the program anew, in this same process, with OpenMP told to sleep where it waits.
///
/// By default the trainer's threads spin at every barrier. While the workers, or other programs, have
/// the cores, each spin lasts until the scheduler steps in: training was seen to slow a hundredfold.
/// Sleeping costs nothing measurable on idle cores and changes no sum. The library reads its
/// environment when it is loaded, which is before `main`: hence the new start. Whoever sets one of
/// the variables is left alone.
fn wait_without_spinning() {
    let told = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"];
    if told.iter().any(|name| std::env::var_os(name).is_some()) {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let mut anew = std::process::Command::new(program);
        let mut arguments = std::env::args_os();
        anew.arg0(arguments.next().unwrap_or_default()).args(arguments);
        // It returns only if it fails, and then we go on as we are.
        let _failure = anew.env("OMP_WAIT_POLICY", "passive").exec();
    }
}

/// A worker that panics would leave the others waiting for it for ever.
fn end_with_a_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.contains("Broken pipe") {
            std::process::exit(0); // whoever read our answer has enough of it
        }
        tell(panic);
        eprintln!("error: this is a mistake in seseragi itself; the newest checkpoint stays");
        std::process::exit(101);
    }));
}
