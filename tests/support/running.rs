//! A job over a library, and the real program that runs it: started, watched, stopped, looked at.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A job small enough to be run dozens of times, the river whole. A commit follows every epoch.
const JOB: &str = r#"
[flow]
epoch_entries = 4

[fetch]
backoff = 0.01

[vocabulary]
limit = 600
minimum_count = 3

[chunk]
words = 2000

[model]
layers = 1
hidden = 32
embedding = 16
dropout = 0.1

[train]
device = "cpu"
threads = 1
batch = 4
sequence = 16

[held_out]
share = 0.1
every = "4 chunks"
words = 500

[commit]
every = "0 s"
keep = 3
"#;

/// A job file and its run directory.
pub struct Job {
    /// The job file.
    pub file: PathBuf,
    /// The run directory.
    pub directory: PathBuf,
}

impl Job {
    /// A job over the library at `mirror`; everything of it lies in `folder`.
    pub fn new(folder: &Path, mirror: &str, workers: usize) -> Self {
        let (file, directory) = (folder.join("job.toml"), folder.join("run"));
        let source = format!(
            "directory = {directory:?}\nworkers = {workers}\n\n\
             [[source]]\nkind = \"aozora\"\nmirror = \"{mirror}\"\n"
        );
        fs::create_dir_all(folder).expect("room for a job");
        fs::write(&file, source + JOB).expect("room for a job");
        Self { file, directory }
    }

    /// The job of a run directory that was moved.
    pub fn at(directory: &Path) -> Self {
        Self { file: directory.join("job.toml"), directory: directory.to_owned() }
    }

    /// What starts the job; `--json` prints the outcome as data.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seseragi"));
        command.arg("run").arg(&self.file).arg("--json");
        command
    }

    /// Starts the job.
    pub fn start(&self) -> Running {
        Running::start(self.command())
    }

    /// Runs the job to its end, which must be a good one.
    pub fn run(&self) -> Ended {
        let ended = self.start().end();
        assert_eq!(ended.code, Some(0), "{}", ended.told.join("\n"));
        ended
    }

    /// What `inspect --json` says of the newest valid checkpoint.
    pub fn inspect(&self) -> Value {
        self.inspect_with(&[])
    }

    /// The same with more options.
    pub fn inspect_with(&self, options: &[&str]) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seseragi"));
        command.arg("inspect").arg(&self.directory).arg("--json").args(options);
        let output = command.output();
        let output = output.expect("the program can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("inspect prints JSON")
    }

    /// What must not depend on workers, delays or kills: the weights, and what they were made from.
    pub fn outcome(&self) -> Outcome {
        let said = self.inspect();
        let digest = said["weights_digest"].as_str().expect("a digest").to_owned();
        let documents = said["documents"].as_array().expect("a list").clone();
        let counts = ["next_sequence", "next_chunk"];
        let totals = ["account", "models", "vocabulary", "pending_ids"]
            .map(|name| said[name].clone())
            .into_iter()
            .chain(counts.map(|name| said["counts"][name].clone()))
            .collect();
        Outcome { digest, documents, totals }
    }

    /// The checkpoints, ascending.
    pub fn checkpoints(&self) -> Vec<PathBuf> {
        let named = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.bytes().all(|byte| byte.is_ascii_digit())
        };
        let mut found: Vec<_> = self.in_checkpoints().into_iter().filter(named).collect();
        found.sort();
        found
    }

    /// Everything that lies where the checkpoints are.
    pub fn in_checkpoints(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.join("checkpoints"));
        entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    /// The chunks that `metrics.jsonl` tells of, in its order.
    pub fn measured_chunks(&self) -> Vec<u64> {
        let text = fs::read_to_string(self.directory.join("metrics.jsonl")).expect("metrics");
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
            .filter(|line| line["kind"] == "chunk")
            .map(|line| line["chunk"].as_u64().expect("a number"))
            .collect()
    }
}

/// What a run comes to.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    /// SHA-256 over the weights.
    pub digest: String,
    /// The lineage: a line an entry.
    pub documents: Vec<Value>,
    /// What is counted: entries, words, steps, nats.
    pub totals: Vec<Value>,
}

impl Outcome {
    /// Fails if a run came to something else; says what, rather than print it all.
    pub fn expect_same(&self, other: &Self, of: &str) {
        assert_eq!(self.documents.len(), other.documents.len(), "{of}: documents lost or doubled");
        for (ours, theirs) in self.documents.iter().zip(&other.documents) {
            assert_eq!(ours, theirs, "{of}");
        }
        assert_eq!(self.totals, other.totals, "{of}");
        assert_eq!(self.digest, other.digest, "{of}");
    }

    /// The same with the addresses of another server, to compare runs over different ones.
    pub fn elsewhere(&self, server: &str) -> Self {
        let mut documents = self.documents.clone();
        for document in &mut documents {
            let moved = document["url"].as_str().expect("an address").replace(server, "");
            document["url"] = moved.into();
        }
        Self { digest: self.digest.clone(), documents, totals: self.totals.clone() }
    }

    /// How many documents met this fate.
    pub fn count(&self, fate: &str) -> usize {
        self.documents.iter().filter(|document| document["fate"] == fate).count()
    }
}

/// The program while it runs. Dropping it kills it.
pub struct Running {
    child: Child,
    begun: Instant,
    // Its standard error, line by line; hung up when it has ended.
    lines: Receiver<String>,
    told: Vec<String>,
    printed: Option<JoinHandle<String>>,
}

/// How the program ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub printed: String,
    /// Standard error, line by line.
    pub told: Vec<String>,
    /// From the start to the end.
    pub took: Duration,
}

impl Ended {
    /// The first line on standard error that has `part`.
    pub fn line(&self, part: &str) -> Option<&str> {
        self.told.iter().map(String::as_str).find(|line| line.contains(part))
    }

    /// The outcome that was printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.printed).expect("run --json prints JSON")
    }
}

impl Running {
    /// Starts a command whose standard error tells how it goes.
    pub fn start(command: Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// The same with something on its standard input.
    pub fn start_with(mut command: Command, input: impl Into<Stdio>) -> Self {
        let begun = Instant::now();
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let stderr = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            // Until the program has ended, or nobody listens any more.
            let mut lines = stderr.lines().map_while(Result::ok);
            lines.all(|line| tell.send(line).is_ok())
        });
        let mut stdout = child.stdout.take().expect("it is a pipe");
        let printed = thread::spawn(move || {
            let mut printed = String::new();
            stdout.read_to_string(&mut printed).expect("the program prints UTF-8");
            printed
        });
        Self { child, begun, lines, told: Vec::new(), printed: Some(printed) }
    }

    /// Waits for a line that `wanted` takes; false if the program ended without one.
    pub fn wait_for(&mut self, mut wanted: impl FnMut(&str) -> bool) -> bool {
        while let Ok(line) = self.lines.recv() {
            let found = wanted(&line);
            self.told.push(line);
            if found {
                return true;
            }
        }
        false
    }

    /// Waits until it has made so many commits more.
    #[track_caller]
    pub fn wait_for_commits(&mut self, commits: usize) {
        let mut seen = 0;
        let committed = self.wait_for(|line| {
            seen += usize::from(line.starts_with("committed"));
            seen == commits
        });
        assert!(committed, "{:?}", self.told());
    }

    /// What it has told so far.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// Lets the program run until so long after its start; false if it ended before.
    pub fn run_until(&mut self, instant: Duration) -> bool {
        self.run_while(|begun| begun.elapsed() < instant)
    }

    /// Lets the program run while a condition holds; false if it ended before.
    pub fn run_while(&mut self, holds: impl Fn(Instant) -> bool) -> bool {
        while holds(self.begun) {
            match self.lines.recv_timeout(Duration::from_micros(500)) {
                Ok(line) => self.told.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        true
    }

    /// The names of its threads.
    pub fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let tasks = tasks.expect("it is running").flatten();
        // One that has ended meanwhile has no name.
        let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).ok();
        tasks.filter_map(name).map(|name| name.trim_end().to_owned()).collect()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -\"$0\" \"$1\"", name, &pid]).status();
        assert!(sent.expect("a shell").success(), "the program has ended before SIG{name}");
    }

    /// Kills the program at once, and waits until it is gone. True if it was still running.
    pub fn kill(mut self) -> bool {
        self.child.kill().expect("it is our child");
        self.end().code.is_none()
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let status = self.child.wait().expect("it is our child");
        let took = self.begun.elapsed();
        self.told.extend(self.lines.iter());
        let printed = self.printed.take().expect("it is taken once").join();
        Ended {
            code: status.code(),
            printed: printed.expect("reading does not panic"),
            told: std::mem::take(&mut self.told),
            took,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _has_ended = self.child.wait();
    }
}
