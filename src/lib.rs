//! The commands of seseragi, what they print, and exit codes: for the two programs that do them, the
//! [`face`] and the [`engine`]; `half.rs` tells why there are two.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where printing belongs")]

/// Tells something on standard error. Where nobody can be told, as when whoever read it has gone, nobody
/// is: a run must not end for it.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _nobody_listens = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod age;
mod client;
mod commands;
mod half;
mod plots;
mod progress;
mod report;
mod server;
mod signals;
mod tensorboard;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use half::{Engine, Face, Half};

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

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 stopped at once by a second Ctrl-C.";

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
    Report(commands::report::Report),
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

/// The program that people call: starts at once, and does what needs no model itself.
pub fn face() -> ExitCode {
    execute(Face)
}

/// The program that has the model, and can do everything.
pub fn engine() -> ExitCode {
    execute(Engine)
}

/// Does what the arguments say. A command that needs the model goes through `half`, and no other
/// way: what is called here directly becomes a part of the face.
fn execute(half: impl Half) -> ExitCode {
    end_with_a_panic();
    let done = match Arguments::parse().command {
        Command::Demo(demo) => half.with_model(|| demo.execute()),
        Command::Run(run) => half.with_model(|| run.execute()),
        Command::Tune(tune) => half.with_model(|| tune.execute()),
        Command::Export(export) => half.with_model(|| export.execute()),
        Command::Generate(generate) => half.with_model(|| generate.execute()),
        Command::Evaluate(evaluate) => half.with_model(|| evaluate.execute()),
        Command::Inspect(inspect) if inspect.graph => half.with_model(|| inspect.draw()),
        Command::Inspect(inspect) => inspect.execute(),
        Command::Plot(plot) => plot.execute(),
        Command::Report(report) => half.with_model(|| report.execute()),
        Command::Vectors(vectors) => half.with_model(|| vectors.execute()),
        Command::Doctor(doctor) => half.with_model(|| doctor.execute()),
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
            say!("error: {}", chain(&error));
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
        let said = panic.payload_as_str().unwrap_or_default();
        // An answer is printed once everything else is done.
        if said.starts_with("failed printing to stdout") {
            if said.contains("Broken pipe") {
                std::process::exit(0); // whoever read our answer has enough of it
            }
            say!("error: could not print the answer ({said}); what was to be done is done");
            std::process::exit(1);
        }
        tell(panic);
        say!("error: this is a mistake in seseragi itself; the newest checkpoint stays");
        std::process::exit(101);
    }));
}
