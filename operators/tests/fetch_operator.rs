//! The operator: what becomes of epochs.

use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc},
    time::Duration,
};

use loopback::{Behaviour, Delay, Gate, Server};
use operators::{
    Batches, Epoch,
    batch::{Batch, Builder},
    fault::Alarm,
    fetch::{Client, Fetch, Settings},
    record::{Entry, Record},
};
use timely::{
    container::DrainContainer,
    dataflow::{
        ProbeHandle,
        channels::pact::Pipeline,
        operators::{
            Probe,
            core::{Input, input::Handle as InputHandle},
            generic::Operator,
        },
    },
    worker::Worker,
};
use tokio::runtime::{Handle, Runtime};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("one")
}

fn settings() -> Settings {
    Settings { backoff: 0.01, tries: 3, allow_private: true, ..Settings::default() }
}

fn entry(sequence: u64, url: String) -> Entry {
    Entry { sequence, url, ..Entry::default() }
}

/// What came out: the epoch that it came out at, the entry, and the body or the reason.
type Outcome = (Epoch, u64, Result<String, String>);

/// Tells the test what passes by.
fn tell<'scope, R: Record>(
    stream: Batches<'scope, R>,
    outcomes: mpsc::Sender<Outcome>,
    read: impl Fn(R::Row<'_>) -> (u64, Result<String, String>) + 'static,
) -> Batches<'scope, R> {
    stream.unary::<Builder<R>, _, _, _>(Pipeline, "Tell", |_, _| {
        move |input, output| {
            input.for_each(|capability, batches| {
                let epoch = *capability.least().expect("batches have an epoch");
                for batch in batches.drain() {
                    for (sequence, result) in batch.iter().map(&read) {
                        outcomes.send((epoch, sequence, result)).expect("the test listens");
                    }
                    output.session(&capability).give(batch);
                }
            });
        }
    })
}

/// A dataflow that fetches and tells what comes out.
fn fetching(
    worker: &mut Worker,
    client: &Client,
    runtime: &Handle,
    alarm: &Alarm,
    outcomes: mpsc::Sender<Outcome>,
) -> (InputHandle<Epoch, Builder<Entry>>, ProbeHandle<Epoch>) {
    worker.dataflow(|scope| {
        let (entries, stream) = scope.new_input_with_builder();
        let probe = ProbeHandle::new();
        let (pages, rejects) = stream.fetch(client, runtime, alarm);
        let pages = tell(pages, outcomes.clone(), |page| {
            let body = String::from_utf8_lossy(page.body).into_owned();
            (page.entry.sequence, Ok(body))
        });
        let rejects = tell(rejects, outcomes, |reject| {
            (reject.entry.sequence, Err(reject.reason.to_owned()))
        });
        pages.probe_with(&probe);
        rejects.probe_with(&probe);
        (entries, probe)
    })
}

#[test]
fn every_entry_gives_one_page_or_one_reject_in_its_own_epoch_whatever_the_worker_count() {
    const ENTRIES: u64 = 60;
    // Epochs of seven entries; of each five one is missing.
    let expected: BTreeSet<Outcome> = (0..ENTRIES)
        .map(|number| match number % 5 {
            3 => (number / 7, number, Err("status 404".to_owned())),
            _ => (number / 7, number, Ok(format!("page {number}"))),
        })
        .collect();
    for workers in [1, 2, 3] {
        let a_while = Delay { seed: 3, up_to: Duration::from_millis(5) };
        let server = Server::start((0..ENTRIES).map(|number| {
            let page = Behaviour::page(format!("page {number}"));
            let behaviour = match number % 5 {
                3 => Behaviour::Status(404),
                4 => Behaviour::Status(500).times(1).then(page),
                _ => page,
            };
            (format!("/{number}"), behaviour.slow(a_while))
        }));
        let runtime = runtime();
        let client = Client::new(&settings()).expect("a client");
        let (handle, base) = (runtime.handle().clone(), server.url(""));
        let (outcomes, came_out) = mpsc::channel();
        timely::execute(timely::Config::process(workers), move |worker| {
            let (index, peers) = (worker.index() as u64, worker.peers() as u64);
            let alarm = Alarm::new();
            let outcomes = outcomes.clone();
            let (mut entries, _) = fetching(worker, &client, &handle, &alarm, outcomes);
            for number in (0..ENTRIES).filter(|number| number % peers == index) {
                entries.advance_to(number / 7);
                entries.send(Batch::of(0, [entry(number, format!("{base}/{number}"))]));
            }
        })
        .expect("workers")
        .join()
        .into_iter()
        .for_each(|ended| ended.expect("no worker panics"));
        let all: Vec<Outcome> = came_out.iter().collect();
        assert_eq!(all.len() as u64, ENTRIES);
        assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expected, "{workers} workers");
        assert!(server.most_at_once() <= settings().per_host);
    }
}

#[test]
fn an_epoch_stays_open_until_its_last_entry_is_answered_and_later_ones_go_on() {
    let gate = Gate::closed();
    let server = Server::start([
        ("/held", Behaviour::page("held").behind(&gate)),
        ("/0", Behaviour::page("0")),
        ("/1", Behaviour::page("1")),
    ]);
    let runtime = runtime();
    let handle = runtime.handle().clone();
    timely::execute_directly(move |worker| {
        let client = Client::new(&settings()).expect("a client");
        let (outcomes, came_out) = mpsc::channel();
        let (mut entries, probe) = fetching(worker, &client, &handle, &Alarm::new(), outcomes);
        // One batch of two entries, one of which is held.
        let epoch = [entry(0, server.url("/held")), entry(1, server.url("/0"))];
        entries.send(Batch::of(0, epoch));
        entries.advance_to(1);
        entries.send(Batch::of(0, [entry(2, server.url("/1"))]));
        entries.close();
        let mut seen = BTreeSet::new();
        while seen.len() < 2 {
            worker.step_or_park(None);
            seen.extend(came_out.try_iter().map(|(epoch, sequence, _)| (epoch, sequence)));
        }
        // Both others are out; the first epoch is open all the same.
        assert_eq!(seen, BTreeSet::from([(0, 1), (1, 2)]));
        assert!(probe.less_equal(&0));
        gate.open();
        while !probe.done() {
            worker.step_or_park(None);
        }
        assert_eq!(came_out.try_iter().collect::<Vec<_>>(), [(0, 0, Ok("held".to_owned()))]);
    });
}

/// What a runner does with dataflows that will never complete.
fn drop_dataflows(worker: &mut Worker) {
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

/// Steps until the alarm is raised, then says what it was raised for; the epoch must be open.
fn raised_without_progress(client: Client, handle: Handle, url: String) -> String {
    timely::execute_directly(move |worker| {
        let alarm = Alarm::new();
        let thread = std::thread::current();
        alarm.listen(move || thread.unpark());
        let (outcomes, came_out) = mpsc::channel();
        let (mut entries, probe) = fetching(worker, &client, &handle, &alarm, outcomes);
        entries.send(Batch::of(0, [entry(0, url)]));
        entries.close();
        while alarm.raised().is_none() {
            worker.step_or_park(None);
        }
        // However often it is scheduled from now on, nothing comes out and nothing is closed.
        for _ in 0..100 {
            worker.step();
        }
        assert!(probe.less_equal(&0));
        assert_eq!(came_out.try_iter().count(), 0);
        drop_dataflows(worker);
        alarm.raised().map(ToString::to_string).expect("it was raised")
    })
}

#[test]
fn fatal_trouble_raises_the_alarm_and_closes_no_epoch() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { cache_dir: Some(folder.path().to_owned()), ..settings() };
    let client = Client::new(&settings).expect("a client");
    std::fs::remove_dir(folder.path().join("objects")).expect("an empty folder");
    std::fs::write(folder.path().join("objects"), "in the way").expect("room");
    let server = Server::start([("/", Behaviour::page("river"))]);
    let runtime = runtime();
    let message = raised_without_progress(client, runtime.handle().clone(), server.url("/"));
    assert!(message.starts_with("fetch: could not "), "{message}");
    assert!(message.contains("set another `cache_dir`"), "{message}");
}

#[test]
fn a_runtime_that_is_gone_raises_the_alarm_and_closes_no_epoch() {
    let runtime = runtime();
    let handle = runtime.handle().clone();
    drop(runtime);
    let client = Client::new(&settings()).expect("a client");
    let message = raised_without_progress(client, handle, "http://127.0.0.1:9/".to_owned());
    assert!(message.starts_with("fetch: a fetch ended without an answer"), "{message}");
}

#[test]
fn a_runtime_that_is_shut_down_under_a_request_raises_the_alarm() {
    let server = Arc::new(Server::start([("/", Behaviour::Hang)]));
    let runtime = runtime();
    let handle = runtime.handle().clone();
    let client = Client::new(&Settings { respect_robots: false, ..settings() }).expect("a client");
    let watched = Arc::clone(&server);
    let shutting = std::thread::spawn(move || {
        watched.wait_for("a request", |log| log.count("/") > 0);
        runtime.shutdown_background();
    });
    let message = raised_without_progress(client, handle, server.url("/"));
    assert!(message.starts_with("fetch: a fetch ended without an answer"), "{message}");
    shutting.join().expect("it does not panic");
}

#[test]
fn once_the_alarm_is_raised_by_another_stage_nothing_moves() {
    // It runs only when we say so.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("one");
    let client = Client::new(&settings()).expect("a client");
    timely::execute_directly(move |worker| {
        let alarm = Alarm::new();
        let (outcomes, came_out) = mpsc::channel();
        let (mut entries, probe) = fetching(worker, &client, runtime.handle(), &alarm, outcomes);
        let mut round = |number: u64, worker: &mut Worker| {
            // Refused without a request, so that one turn of the runtime answers it.
            entries.send(Batch::of(0, [entry(number, "river.html".to_owned())]));
            entries.advance_to(number + 1);
            worker.step();
            runtime.block_on(tokio::task::yield_now());
            worker.step();
            worker.step();
        };
        round(0, worker);
        assert_eq!(came_out.try_iter().map(|(_, sequence, _)| sequence).collect::<Vec<_>>(), [0]);
        assert!(!probe.less_equal(&0));
        alarm.raise("train", "the disk is full");
        round(1, worker);
        assert_eq!(came_out.try_iter().count(), 0);
        assert!(probe.less_equal(&1));
        drop_dataflows(worker);
    });
}
