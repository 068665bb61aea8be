//! The face of seseragi: commands, what they print, and exit codes.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where printing belongs")]

mod commands;
mod progress;
mod signals;

use std::process::ExitCode;

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
    Export(commands::export::Export),
    Generate(commands::generate::Generate),
    Evaluate(commands::evaluate::Evaluate),
    Inspect(commands::inspect::Inspect),
    Doctor(commands::doctor::Doctor),
}

fn main() -> ExitCode {
    end_with_a_panic();
    let done = match Arguments::parse().command {
        Command::Demo(demo) => demo.execute(),
        Command::Run(run) => run.execute(),
        Command::Export(export) => export.execute(),
        Command::Generate(generate) => generate.execute(),
        Command::Evaluate(evaluate) => evaluate.execute(),
        Command::Inspect(inspect) => inspect.execute(),
        Command::Doctor(doctor) => doctor.execute(),
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

/// A worker that panics would leave the others waiting for it for ever.
fn end_with_a_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        eprintln!("error: this is a mistake in seseragi itself; the newest checkpoint stays");
        std::process::exit(101);
    }));
}
