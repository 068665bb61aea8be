//! What a job of several processes reads, and the processes.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use loopback::{Behaviour, Gate, Page, Server};
use operators::route::Sites;

use crate::{
    library::{self, Dice, Library},
    running::{Ended, Job, Outcome, Running},
};

/// A library, two sites that two processes share out, and files of this machine.
pub struct World {
    /// Everything of the test lies here.
    pub folder: tempfile::TempDir,
    library: Server,
    /// By the process that asks it.
    pub sites: [Server; 2],
}

/// Pages of each site, of which some cannot be used.
pub const PAGES: usize = 12;

impl World {
    /// Of everything, as the seed draws it.
    pub fn make(seed: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let library = Library::write(&folder.path().join("library"), 36, seed);
        let library = library.serve(seed, Duration::from_millis(10));
        let files = folder.path().join("texts");
        fs::create_dir(&files).expect("room");
        for number in 0..10 {
            fs::write(files.join(format!("{number}.txt")), prose(seed, 900 + number))
                .expect("room");
        }
        let site = |process: usize| loop {
            let server = site(seed, process);
            // A site that nobody has asked falls to a process by its name, which has a port in it.
            let sites = Sites::among(2, 1, true, |_| false);
            if sites.fetcher(&server.url("/"), 0) == process as u64 {
                break server;
            }
        };
        Self { sites: [site(0), site(1)], folder, library }
    }

    /// The pages of both sites.
    pub fn urls(&self) -> Vec<String> {
        let of = |server: &Server| (0..PAGES).map(|at| server.url(&format!("/{at}"))).collect();
        self.sites.iter().flat_map(|server| -> Vec<String> { of(server) }).collect()
    }

    /// A job that reads the library, and both sites and the files as well if it reads all.
    pub fn job(&self, name: &str, reads_all: bool) -> Job {
        let job = Job::new(&self.folder.path().join(name), &self.library.url(""), 1);
        let text = fs::read_to_string(&job.file).expect("a job");
        let files = self.folder.path().join("texts/*.txt");
        let more = match reads_all {
            true => format!(
                "weight = 1.0\n[[source]]\nkind = \"pages\"\nweight = 1.0\nurls = {:?}\nselector = \"article\"\n\
                 [[source]]\nkind = \"files\"\nweight = 0.5\npaths = [{files:?}]\n",
                self.urls()
            ),
            false => String::new(),
        };
        let text = text
            .replacen("workers = 1", "workers = 1\nmax_workers = 2", 1)
            .replacen("\n[flow]", &format!("{more}\n[flow]"), 1)
            .replacen("[fetch]\n", "[fetch]\nallow_private = true\n", 1);
        fs::write(&job.file, text).expect("room for a job");
        job
    }

    /// Has a work of the library come only once the gate is opened, so that a run cannot go far beyond.
    pub fn gate(&self, work: u64) -> Gate {
        let (gate, path) = (Gate::closed(), library::path(work));
        let file = self.folder.path().join("library").join(path.trim_start_matches('/'));
        // As it is served from the folder: the charset is the page's own to declare.
        let page = Page::html(fs::read(file).expect("a work")).header("Content-Type", "text/html");
        self.library.set(path, Behaviour::Page(page).behind(&gate));
        gate
    }

    /// What one process comes to.
    pub fn alone(&self, reads_all: bool) -> Outcome {
        let job = self.job(&format!("alone-{reads_all}"), reads_all);
        job.run();
        job.outcome()
    }
}

fn prose(seed: u64, number: usize) -> String {
    let mut dice = Dice(seed * 1_000 + number as u64);
    let word = |dice: &mut Dice| {
        let all = ["山", "川", "雨", "雪", "花", "鳥", "町", "家", "橋", "舟", "水", "木"];
        all[dice.below(all.len() as u64) as usize]
    };
    let sentence = |dice: &mut Dice| {
        (0..12)
            .map(|at| word(dice).to_owned() + ["は", "の", "を", "に"][at % 4])
            .collect::<String>()
    };
    (0..12).map(|_| sentence(&mut dice) + "。").collect()
}

/// A site: of its pages one is missing, one has no article, and one has the text of another site's.
fn site(seed: u64, process: usize) -> Server {
    let page = |at: usize| {
        let text = match at {
            3 => prose(seed, 500),
            _ => prose(seed, process * 100 + at),
        };
        Behaviour::page(match at {
            5 => format!("<html><body><p>{text}</p></body></html>"),
            _ => format!("<html><body><nav>頁</nav><article>{text}</article></body></html>"),
        })
    };
    let present = (0..PAGES).filter(|at| *at != 7);
    Server::start(present.map(|at| (format!("/{at}"), page(at))))
}

/// The processes of a job, and where they are.
pub struct Among {
    /// The file that names them.
    pub hosts: PathBuf,
    /// By process.
    pub addresses: Vec<String>,
    workers: usize,
}

impl Among {
    /// So many processes on free ports of this machine.
    pub fn of(folder: &Path, processes: usize, workers: usize) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        // An address that no other test has: else a port that is free now may be taken in a moment.
        let host = format!("127.{}.{}.{number}", 64 + process / 256 % 64, process % 256);
        let free = || TcpListener::bind((&*host, 0)).expect("a port");
        let held: Vec<_> = (0..processes).map(|_| free()).collect();
        let address = |of: &TcpListener| of.local_addr().expect("its own").to_string();
        let addresses: Vec<String> = held.iter().map(address).collect();
        let hosts = folder.join(format!("hosts-{number}"));
        fs::write(&hosts, addresses.join("\n") + "\n").expect("room");
        Self { hosts, addresses, workers }
    }

    /// What starts one of them.
    pub fn command(&self, job: &Job, process: usize, set: &[&str]) -> Command {
        self.waiting(120, job, process, set)
    }

    /// The same, with so many seconds to wait for the others.
    pub fn waiting(&self, seconds: u32, job: &Job, process: usize, set: &[&str]) -> Command {
        let mut command = job.command();
        let (processes, hosts) =
            (self.addresses.len().to_string(), self.hosts.display().to_string());
        command.args(["--processes", &processes, "--process", &process.to_string()]);
        command.args(["--hosts", &hosts, "--wait", &seconds.to_string()]);
        let most = self.workers;
        for pair in
            [format!("max_workers={most}"), format!("workers={}", most * self.addresses.len())]
        {
            command.args(["--set", &pair]);
        }
        command.args(set.iter().flat_map(|pair| ["--set", *pair]));
        command
    }

    /// Starts all of them.
    pub fn start(&self, job: &Job) -> Vec<Running> {
        let command = |process| self.command(job, process, &[]);
        (0..self.addresses.len()).map(|process| Running::start(command(process))).collect()
    }

    /// Runs them to their end, which must be a good one.
    pub fn run(&self, job: &Job) -> Vec<Ended> {
        let ended: Vec<Ended> = self.start(job).into_iter().map(Running::end).collect();
        for one in &ended {
            assert_eq!(one.code, Some(0), "{}", one.told.join("\n"));
        }
        ended
    }
}
