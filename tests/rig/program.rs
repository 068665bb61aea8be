//! The program as people and scripts meet it: arguments in; exit code, answer and messages out.

#![allow(dead_code, reason = "each test file uses its own share")]

use std::{
    ffi::OsStr,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

/// Far beyond what anything here takes: a program that hangs must fail its test, not stop them all.
const LIMIT: Duration = Duration::from_secs(600);

/// The program, about to be started.
pub fn seseragi<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seseragi"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn call<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ended {
    Ended::of(&mut seseragi(arguments))
}

/// `run JOB --json` with overrides, to its end.
pub fn run(job: &Path, overrides: &[&str]) -> Ended {
    let job = job.to_str().expect("a path of ours");
    let overrides = overrides.iter().flat_map(|pair| ["--set", pair]);
    call(["run", job, "--json"].into_iter().chain(overrides))
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub answer: String,
    /// Standard error.
    pub messages: String,
}

impl Ended {
    /// Runs a command to its end.
    #[track_caller]
    pub fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (answer, messages) = (child.stdout.take(), child.stderr.take());
        let answer = listen(answer.expect("it was piped"));
        let messages = listen(messages.expect("it was piped"));
        // It has ended when it says nothing more.
        let in_time = answer.recv_timeout(LIMIT);
        if in_time.is_err() {
            child.kill().expect("it is our child");
        }
        let code = child.wait().expect("it is our child").code();
        let messages = messages.recv().expect("the listener sends what it has heard");
        let answer = in_time.unwrap_or_else(|_| panic!("not ended in {LIMIT:?}: {messages}"));
        Self { code, answer, messages }
    }

    /// What it answered, having done what it was asked.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.messages);
        self.answer
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let answer = self.done();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The error that ended it with this exit code: the last line, the only one of its kind.
    #[track_caller]
    pub fn error(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}", self.messages);
        let is_error = |line: &&str| line.starts_with("error: ");
        let last = self.messages.lines().next_back().filter(is_error);
        let last = last.unwrap_or_else(|| panic!("no error at the end of {}", self.messages));
        assert_eq!(self.messages.lines().filter(is_error).count(), 1, "{}", self.messages);
        last
    }
}

/// Reads everything that comes, and then sends it.
fn listen(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, heard) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).expect("the program writes UTF-8");
        let _nobody_waits_any_more = sender.send(text);
    });
    heard
}
