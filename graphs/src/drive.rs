//! Drives a graph: lists the sources, starts the workers, and stops everything together.

use std::{
    any::Any,
    io,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_channel::Sender;
use operators::{
    Epoch,
    analyzer::Dictionary,
    catalogue::{Listing, Slicing},
    fault::Alarm,
    fetch::{Client, ClientError},
    route::{Loads, Sites},
    vectors::Vectors,
    wake::Waker,
};
use timely::{
    CommunicationConfig, WorkerConfig,
    communication::WorkerGuards,
    dataflow::{ProbeHandle, Scope},
    execute::execute_from,
};
use tokio::runtime::{Builder, Runtime};

use crate::{
    control::{Command, Gauges, Helm, journal::Entry},
    directory,
    error::RunError,
    events::Event,
    job::Job,
    listing::{self, Beginning, DrawnEpochs, Had, Lister, Replay, Roster, kind::Reach},
    peers::{End, Mesh, OWNERS, Peers, is_one_machine, link, owner::Hearers},
    river::{OWNER, Spring, Tools},
};

/// A job's reins: what whoever started it may do and see while it runs.
#[derive(Clone)]
pub struct Reins {
    /// What happens is told here.
    pub events: Sender<Event>,
    /// Set to have the job end at the next closed epoch, with a commit.
    pub drain: Arc<AtomicBool>,
    /// The web client, once there is one: its counters tell how fetching goes.
    pub client: Arc<OnceLock<Client>>,
    /// Called once the run can be steered, with its directory locked; what it returns is dropped
    /// when the run can be steered no longer.
    pub steering: Option<Steering>,
    /// What attaches and detaches sources, once there is something to attach them to.
    pub lister: Arc<OnceLock<Lister>>,
}

/// Whatever hands a run's commands to its helm.
pub type Steering = Arc<dyn Fn(&Helm) -> io::Result<Box<dyn Any>> + Send + Sync>;

/// How often workers look whether the job is to stop, at the least. They are woken for it, so this
/// only has to be seldom enough to cost nothing.
const PATROL: Duration = Duration::from_secs(2);

/// How much a worker yields to whoever else wants its core. Where there are fewer cores than threads that
/// is the trainer: it waits for the workers as soon as they fall behind, and they must not have it wait
/// while they are ahead.
const YIELDING: i32 = 5;

/// Threads that read and write files for those that fetch. Few: each keeps memory of its own from
/// what it has read, so that their number would show as memory that grows with the library.
const READERS: usize = 4;

/// The dictionary and the vectors of a job.
pub(crate) struct Lexicon {
    pub dictionary: Arc<Dictionary>,
    pub vectors: Option<Arc<Vectors>>,
}

impl Lexicon {
    pub fn open(job: &Job) -> Result<Self, RunError> {
        let dictionary = open_dictionary(job)?;
        let file = &job.vectors.file;
        let vectors = match file.as_os_str().is_empty() {
            true => None,
            false => Some(Vectors::open(file, job.vectors.format)?),
        };
        Ok(Self { dictionary, vectors })
    }
}

/// The dictionary of a job: where it says, else wherever set-up has put it.
pub(crate) fn open_dictionary(job: &Job) -> Result<Arc<Dictionary>, RunError> {
    let home = &job.dictionary.directory;
    let unset = home.as_os_str().is_empty();
    Ok(Dictionary::open(&if unset { Dictionary::locate() } else { home.clone() })?)
}

/// What earlier runs leave to the river.
pub(crate) struct Past {
    /// The last epoch that is committed.
    pub last: Option<Epoch>,
    /// The entries that were had.
    pub had: Had,
    /// Fingerprints of the documents that passed, with their sequence numbers.
    pub known: Vec<(u128, u64)>,
    /// Steers the river, as it was told to before.
    pub helm: Helm,
    /// What the run was told before; of it, sources attached and detached.
    pub told: Vec<Entry>,
    /// Where epochs are written down that cannot be drawn again, and those that were.
    pub drawn: Option<(DrawnEpochs, Replay)>,
}

/// Makes a graph's dataflow on a worker, which has the spring if it is the owner.
pub(crate) trait Build:
    Fn(Scope<'_, Epoch>, Tools, Option<Spring>) -> ProbeHandle<Epoch> + Send + Sync + 'static
{
}

impl<F> Build for F where
    F: Fn(Scope<'_, Epoch>, Tools, Option<Spring>) -> ProbeHandle<Epoch> + Send + Sync + 'static
{
}

/// What a job stands on, in this process: whatever becomes of its dataflow.
struct Ground<'a> {
    job: &'a Job,
    reins: &'a Reins,
    runtime: Runtime,
    client: Client,
    alarm: Alarm,
    peers: Peers,
}

/// Runs a graph until `attend` returns, which sits at its end, on a thread of its own.
/// Other processes of the job are gathered first, and told at the end how it was.
pub(crate) fn drive<T: Send>(
    job: &Job,
    reins: &Reins,
    lexicon: Lexicon,
    past: Past,
    build: impl Build,
    attend: impl FnOnce(&Alarm) -> Result<T, RunError> + Send,
) -> Result<T, RunError> {
    let (runtime, client, alarm) = (runtime()?, client(job)?, Alarm::new());
    let hearers = Hearers { gauges: past.helm.gauges(), alarm: &alarm, drain: &reins.drain };
    let (dictionary, events) = (&lexicon.dictionary, &reins.events);
    let (peers, mesh) = Peers::gather(job, dictionary, runtime.handle(), events, &hearers)?;
    let ground = Ground { job, reins, runtime, client, alarm, peers };
    let finished = flow(&ground, mesh, lexicon, past, build, attend);
    let finished = match ground.alarm.raised() {
        Some(trouble) => Err(RunError::raised(trouble)),
        None => finished,
    };
    let Ground { runtime, peers, .. } = ground;
    runtime.block_on(peers.part(match &finished {
        Ok(_) => End::Well,
        Err(error) => End::Failed { reason: error.to_string() },
    }));
    // Requests under way are of no use to anybody any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    finished
}

fn flow<T: Send>(
    ground: &Ground<'_>,
    mesh: Option<Mesh>,
    lexicon: Lexicon,
    past: Past,
    build: impl Build,
    attend: impl FnOnce(&Alarm) -> Result<T, RunError> + Send,
) -> Result<T, RunError> {
    let Ground { job, reins, runtime, client, alarm, peers } = ground;
    let _one_job_a_rein = reins.client.set(client.clone());
    let (waker, drain) = (Waker::default(), Arc::clone(&reins.drain));
    let first = past.last.map_or(0, |epoch| epoch + 1);
    let roster = Roster::new(Beginning {
        seed: job.seed,
        epoch_entries: job.flow.epoch_entries,
        first,
        had: past.had,
        drawn: past.drawn,
        waker: waker.clone(),
        events: reins.events.clone(),
        alarm: alarm.clone(),
    });
    let draw = Box::new(roster.clone());
    let listing = Listing { draw, waker, drain: Arc::clone(&drain) };
    let rules = Arc::new(listing::rules(job)?);
    let tools = Tools {
        slicing: Slicing { first, in_flight: job.flow.epochs_in_flight },
        helm: past.helm.clone(),
        client: client.clone(),
        runtime: runtime.handle().clone(),
        alarm: alarm.clone(),
        rules: Arc::clone(&rules),
        dictionary: lexicon.dictionary,
        vectors: lexicon.vectors,
        drain,
        sites: sites(job, client),
        loads: Loads::of(OWNERS, job.max_workers()),
    };
    let lister = Lister {
        roster,
        reach: Reach { client: client.clone(), sample: None, run: job.directory.clone() },
        rules,
        runtime: runtime.handle().clone(),
        job: Arc::new(Job::clone(job)),
        alarm: alarm.clone(),
        peers: peers.clone(),
        sample: Arc::default(),
    };
    lister.begin(&past.told)?;
    let attached = past.told.iter().filter_map(|entry| match &entry.command {
        Command::Attach { source } => Some(source.clone()),
        _ => None,
    });
    peers.begin(first, attached.collect(), client.permitted());
    let _one_job_a_rein = reins.lister.set(lister);
    let spring = Spring { listing, known: past.known };
    // Set once there is nothing left for the workers to do, whatever is still under way.
    let stop = Arc::new(AtomicBool::new(false));
    let gauges = past.helm.gauges().clone();
    let workers = start(job.max_workers(), mesh, tools, Some(spring), build, Arc::clone(&stop))?;
    let woken = gauges.clone();
    alarm.listen(move || woken.wake_workers());

    thread::scope(|scope| {
        let attendant = thread::Builder::new().name("learner".into()).spawn_scoped(scope, || {
            // However it ends, even by a panic, the workers must not wait for it.
            let _stops_the_workers = StopsOnDrop(&stop, &gauges);
            attend(alarm)
        });
        let attendant = attendant
            .map_err(|source| RunError::System { doing: "start the learner's thread", source })?;
        for worker in workers.join() {
            worker.map_err(RunError::Stage)?;
        }
        // The workers have gone and their end of the channel with them, so it has ended, or will.
        attendant.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The threads that fetch, and speak with other processes.
pub(crate) fn runtime() -> Result<Runtime, RunError> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(READERS)
        .thread_name("fetch")
        .enable_all()
        .build()
        .map_err(|source| RunError::System { doing: "start the fetch threads", source })
}

/// Which process asks which site. `client` is that of the owner's process.
fn sites(job: &Job, client: &Client) -> Sites {
    let Some(place) = &job.place else { return Sites::default() };
    let (client, is_one_machine) = (client.clone(), is_one_machine(&place.hosts));
    Sites::among(place.processes(), job.max_workers(), is_one_machine, move |url| {
        client.has_asked(url)
    })
}

/// The web client of a job; pages are kept in the run directory unless the job says where.
pub(crate) fn client(job: &Job) -> Result<Client, ClientError> {
    let mut settings = job.fetch.clone();
    settings.cache_dir.get_or_insert_with(|| directory::pages(&job.directory));
    Client::new(&settings)
}

/// Starts so many workers in this process, linked to those of other processes if there is a mesh. The
/// spring is there in the owner's process.
pub(crate) fn start(
    workers: usize,
    mesh: Option<Mesh>,
    tools: Tools,
    spring: Option<Spring>,
    build: impl Build,
    stop: Arc<AtomicBool>,
) -> Result<WorkerGuards<()>, RunError> {
    let failed =
        |message: String| RunError::Stage(format!("could not start the workers: {message}"));
    let (builders, others) = match mesh {
        Some(Mesh { process, links, on_loss }) => {
            let builders = link::builders(workers, process, links, &on_loss);
            (
                builders.map_err(|error| failed(error.to_string()))?,
                Box::new(()) as Box<dyn Any + Send>,
            )
        }
        None if workers == 1 => CommunicationConfig::Thread.try_build().map_err(failed)?,
        None => CommunicationConfig::Process(workers).try_build().map_err(failed)?,
    };
    // A worker without work sleeps at once: the cores are the trainer's.
    let config = WorkerConfig::default().idle_spin(Duration::ZERO);
    let shared = Mutex::new((tools, spring));
    let started = execute_from(builders, others, config, move |worker| {
        let (tools, spring) = {
            let mut shared = shared.lock().expect("no worker fails while it takes its tools");
            let spring = (worker.index() as u64 == OWNER).then(|| shared.1.take()).flatten();
            (shared.0.clone(), spring)
        };
        let alarm = tools.alarm.clone();
        tools.helm.gauges().enter(worker.index());
        // Of this thread alone, as Linux has it.
        #[cfg(target_os = "linux")]
        let _the_system_refuses = rustix::process::nice(YIELDING);
        let learnt = worker.dataflow(|scope| build(scope, tools, spring));
        while !learnt.done() {
            worker.step_or_park(Some(PATROL));
            if stop.load(Ordering::Acquire) || alarm.raised().is_some() {
                // What is still under way is not lost: it was never learnt, and comes again.
                for dataflow in worker.installed_dataflows() {
                    worker.drop_dataflow(dataflow);
                }
                return;
            }
        }
    });
    started.map_err(failed)
}

struct StopsOnDrop<'a>(&'a AtomicBool, &'a Gauges);

impl Drop for StopsOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        self.1.wake_workers();
    }
}
