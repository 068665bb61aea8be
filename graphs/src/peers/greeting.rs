//! The first word between two processes: who calls, and with which job and program.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use operators::analyzer::Dictionary;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Place;
use crate::job::Job;

/// Counted up when what travels between processes changes, or the dataflow does.
const WIRE: u32 = 2;

/// Keys in which the processes of a job may differ: where things lie on each machine. What lies
/// there is compared instead.
const OWN: [&str; 4] = ["directory", "fetch.cache_dir", "dictionary.directory", "vectors.file"];

/// What a connection is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Greeting {
    /// A line of words to the owner's process.
    Hello(Box<Hello>),
    /// A link of timely's, between two that the owner has accepted.
    Link {
        /// The caller's number.
        process: usize,
        /// What the owner has called this life of the run.
        life: String,
    },
}

/// What a process says of itself. Every process must say the same, but for its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the program.
    version: String,
    /// What travels.
    wire: u32,
    /// The caller's number.
    pub process: usize,
    /// How many processes it knows of.
    processes: usize,
    /// The job, as data.
    job: Value,
    /// What tells the dictionary from others.
    dictionary: String,
    /// What tells the file of vectors from others.
    vectors: String,
}

/// The owner's answer to a hello.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// All are there.
    Welcome {
        /// Workers in each process.
        workers: usize,
        /// What this life of the run is called.
        life: String,
    },
    /// The caller cannot take part.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

impl Hello {
    /// What this process says of itself.
    ///
    /// # Errors
    /// If the file of vectors cannot be read.
    pub fn of(job: &Job, place: &Place, dictionary: &Dictionary) -> io::Result<Self> {
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wire: WIRE,
            process: place.process,
            processes: place.processes(),
            job: serde_json::to_value(job).expect("a job is plain data"),
            dictionary: dictionary.identity().to_owned(),
            vectors: identity(&job.vectors.file)?,
        })
    }

    /// Why a process that says this cannot take part in what this one is at, if it cannot.
    pub fn refuses(&self, other: &Self) -> Option<String> {
        let program = |hello: &Self| format!("{} (wire {})", hello.version, hello.wire);
        if program(self) != program(other) {
            return Some(format!(
                "it is seseragi {}, and process 0 is {}; start the same program everywhere",
                program(other),
                program(self)
            ));
        }
        if self.processes != other.processes {
            return Some(format!(
                "it was started with --processes {}, and process 0 with {}",
                other.processes, self.processes
            ));
        }
        if !(1..self.processes).contains(&other.process) {
            return Some(format!("there is no process {} to join it", other.process));
        }
        if let Some((key, ours, theirs)) = difference("", &self.job, &other.job) {
            return Some(format!(
                "it has another job: `{key}` is {theirs} there and {ours} for process 0; give each the same \
                 job file and the same --set"
            ));
        }
        let same = [
            ("dictionary", &self.dictionary, &other.dictionary),
            ("vectors", &self.vectors, &other.vectors),
        ];
        let (what, ..) = same.into_iter().find(|(_, ours, theirs)| ours != theirs)?;
        Some(format!("it has other {what} than process 0; copy them from there"))
    }
}

/// The first key in which two jobs differ, with both values.
fn difference(key: &str, ours: &Value, theirs: &Value) -> Option<(String, String, String)> {
    if ours == theirs || OWN.contains(&key) {
        return None;
    }
    let below = |part: &str| match key {
        "" => part.to_owned(),
        key => format!("{key}.{part}"),
    };
    let absent = &Value::Null;
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            let keys = ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
            keys.into_iter().find_map(|part| {
                let of = |table: &serde_json::Map<_, _>| table.get(part).unwrap_or(absent).clone();
                difference(&below(part), &of(ours), &of(theirs))
            })
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let mut pairs = ours.iter().zip(theirs).enumerate();
            pairs.find_map(|(at, (ours, theirs))| difference(&below(&at.to_string()), ours, theirs))
        }
        _ => Some((key.to_owned(), told(ours), told(theirs))),
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "a table".to_owned(),
        value => value.to_string(),
    }
}

/// What tells a file of vectors from others, without reading gigabytes: its length, and the hash of its
/// beginning and its end.
fn identity(path: &Path) -> io::Result<String> {
    const PIECE: u64 = 1 << 20;
    if path.as_os_str().is_empty() {
        return Ok(String::new());
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut hasher = Sha256::new();
    for start in [0, length.saturating_sub(PIECE)] {
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        (&mut file).take(PIECE).read_to_end(&mut piece)?;
        hasher.update(piece);
    }
    let hash: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{length} bytes, {hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(process: usize, set: &[&str]) -> Hello {
        let set: Vec<String> = set.iter().map(|pair| (*pair).to_owned()).collect();
        let text = "[[source]]\nkind = \"sample\"\n";
        let job = Job::parse("a.toml".as_ref(), text, &set).expect("a job");
        Hello {
            version: "1.0.0".into(),
            wire: 1,
            process,
            processes: 3,
            job: serde_json::to_value(&job).expect("plain data"),
            dictionary: "d".into(),
            vectors: String::new(),
        }
    }

    fn refusal(other: &Hello) -> String {
        hello(0, &[]).refuses(other).expect("it is refused")
    }

    #[test]
    fn where_things_lie_may_differ_and_nothing_else() {
        let own = ["directory=elsewhere", "fetch.cache_dir=c", "dictionary.directory=d"];
        assert_eq!(hello(0, &[]).refuses(&hello(2, &own)), None);
        let message = refusal(&hello(1, &["seed=7"]));
        assert!(message.contains("`seed` is 7 there and 1 for process 0"), "{message}");
        let message = refusal(&hello(1, &["source.0.name=brook"]));
        assert!(message.contains("`source.0.name` is \"brook\" there"), "{message}");
        let message = refusal(&hello(1, &["source.0.weight=0.5"]));
        assert!(message.contains("`source.0.weight` is 0.5 there and not set"), "{message}");
    }

    #[test]
    fn another_program_number_or_dictionary_is_refused() {
        assert!(refusal(&Hello { version: "1.0.1".into(), ..hello(1, &[]) }).contains("1.0.1"));
        assert!(refusal(&Hello { wire: 2, ..hello(1, &[]) }).contains("wire 2"));
        assert!(refusal(&Hello { processes: 2, ..hello(1, &[]) }).contains("--processes 2"));
        for process in [0, 3] {
            assert!(refusal(&hello(process, &[])).contains(&format!("no process {process}")));
        }
        assert!(refusal(&Hello { dictionary: "e".into(), ..hello(1, &[]) }).contains("dictionary"));
        assert!(refusal(&Hello { vectors: "v".into(), ..hello(1, &[]) }).contains("vectors"));
    }

    #[test]
    fn files_of_vectors_are_told_apart_by_length_beginning_and_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |bytes: &[u8]| {
            let path = folder.path().join("vectors");
            std::fs::write(&path, bytes).expect("room");
            identity(&path).expect("readable")
        };
        let long = vec![7; 3 << 20];
        let (mut begins, mut ends) = (long.clone(), long.clone());
        begins[0] = 8;
        *ends.last_mut().expect("it is long") = 8;
        let all = [of(&long), of(&begins), of(&ends), of(&long[1..]), of(b"")];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| one != other), "{all:?}");
        }
        assert_eq!(of(&long), all[0]);
        assert!(identity(&folder.path().join("none")).is_err());
    }
}
