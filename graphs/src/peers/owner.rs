//! The owner's end of the lines: what the other processes are told, and what they say.

use std::{
    collections::HashMap,
    net::TcpStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use operators::{Epoch, analyzer::Dictionary, fault::Alarm};
use tokio::{
    net::tcp::OwnedReadHalf,
    runtime::Handle,
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    Hello, OWNERS, PeersError, Place,
    line::Line,
    link::OnLoss,
    meet,
    words::{End, Word, hear},
};
use crate::{
    control::Gauges,
    error::RunError,
    events::Event,
    job::{Job, Source},
};

/// What the trouble between processes is raised as.
pub(super) const STAGE: &str = "processes";

/// How long the others may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the others may take to hang up, once all is over.
const PARTING: Duration = Duration::from_secs(3);

/// How long a broken link waits for word of why. A process that ends closes its links and its line
/// at once, and nothing says which of them is seen first.
const GRACE: Duration = Duration::from_secs(2);

/// The other processes of a job; none, if it has only this one. Clones are the same.
#[derive(Clone, Default)]
pub struct Peers {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    place: Place,
    lines: Vec<(usize, Line)>,
    // Set once the end is said: what is closed then is not lost.
    over: Arc<AtomicBool>,
    // By question: where its answers go.
    asked: Mutex<HashMap<u64, mpsc::UnboundedSender<usize>>>,
    questions: AtomicU64,
    // Lines that are still open.
    open: watch::Sender<usize>,
}

/// What this process has to run by beside the others.
pub struct Mesh {
    /// This process.
    pub process: usize,
    /// Timely's links, by process.
    pub links: Vec<Option<TcpStream>>,
    /// To be called when a link breaks.
    pub on_loss: OnLoss,
}

/// What hears what the other processes say.
pub struct Hearers<'a> {
    /// Shows how far they have come.
    pub gauges: &'a Gauges,
    /// Raised when one is lost, or cannot go on.
    pub alarm: &'a Alarm,
    /// Set when one is asked to end.
    pub drain: &'a Arc<AtomicBool>,
}

impl Peers {
    /// Finds together with the other processes of a job, if it has any.
    ///
    /// # Errors
    /// If they do not come, or cannot take part.
    pub fn gather(
        job: &Job,
        dictionary: &Dictionary,
        runtime: &Handle,
        events: &crossbeam_channel::Sender<Event>,
        hearers: &Hearers<'_>,
    ) -> Result<(Self, Option<Mesh>), RunError> {
        let Some(place) = &job.place else { return Ok((Self::default(), None)) };
        let unread = |source| RunError::System { doing: "read the file of vectors", source };
        let hello = Hello::of(job, place, dictionary).map_err(unread)?;
        let workers = job.max_workers();
        let met = runtime.block_on(meet(place, hello, workers, events, hearers.drain))?;
        let (mut lines, mut heard) = (Vec::new(), Vec::new());
        for (of, stream) in met.lines {
            let (line, hears) = Line::over(stream, runtime);
            lines.push((of, line));
            heard.push((of, hears));
        }
        let inner = Arc::new(Inner {
            place: place.clone(),
            open: watch::Sender::new(lines.len()),
            lines,
            over: Arc::default(),
            asked: Mutex::default(),
            questions: AtomicU64::new(0),
        });
        for (of, hears) in heard {
            let (gauges, drain) = (hearers.gauges.clone(), Arc::clone(hearers.drain));
            runtime.spawn(Arc::clone(&inner).listen(
                of,
                hears,
                gauges,
                hearers.alarm.clone(),
                drain,
            ));
        }
        let on_loss = on_loss(place, runtime, hearers.alarm, &inner.over);
        let mesh = Mesh { process: OWNERS, links: met.links, on_loss };
        Ok((Self { inner: Some(inner) }, Some(mesh)))
    }

    /// Has the others begin: from this epoch on, with what earlier runs have attached, and leave to
    /// ask these sites.
    pub fn begin(&self, first: Epoch, attached: Vec<Source>, permitted: Vec<String>) {
        self.say(&Word::Begin { first, attached, permitted });
    }

    /// Tells the others of a source that is about to be attached, and waits until each can read its
    /// pages.
    ///
    /// # Errors
    /// If one does not answer.
    pub async fn announce(&self, source: &Source) -> Result<(), PeersError> {
        let Some(inner) = &self.inner else { return Ok(()) };
        let number = inner.questions.fetch_add(1, Ordering::Relaxed);
        let (tell, mut told) = mpsc::unbounded_channel();
        inner.asked().insert(number, tell);
        self.say(&Word::Attach { number, source: source.clone() });
        let mut missing: Vec<usize> = inner.place.others().collect();
        let all = async {
            while !missing.is_empty() {
                let of = told.recv().await.expect("its other end is among what was asked");
                missing.retain(|other| *other != of);
            }
        };
        let answered = timeout(ANSWER, all).await;
        inner.asked().remove(&number);
        answered.map_err(|_| PeersError::Silent {
            whom: inner.place.names(missing),
            seconds: ANSWER.as_secs(),
        })
    }

    /// Tells the others how it has ended, and waits until they have heard it.
    pub async fn part(&self, end: End) {
        let Some(inner) = &self.inner else { return };
        inner.over.store(true, Ordering::Release);
        self.say(&Word::End(end));
        let mut open = inner.open.subscribe();
        let _in_time = timeout(PARTING, open.wait_for(|open| *open == 0)).await;
    }

    fn say(&self, word: &Word) {
        let lines = self.inner.iter().flat_map(|inner| &inner.lines);
        lines.for_each(|(_, line)| line.say(word.clone()));
    }
}

impl Inner {
    async fn listen(
        self: Arc<Self>,
        process: usize,
        mut line: OwnedReadHalf,
        gauges: Gauges,
        alarm: Alarm,
        drain: Arc<AtomicBool>,
    ) {
        let whom = self.place.name(process);
        loop {
            match hear::<Word>(&mut line).await {
                Ok(Word::Reading(reading)) => gauges.note(process, reading),
                Ok(Word::Attached { number }) => {
                    if let Some(asked) = self.asked().get(&number) {
                        let _nobody_waits_any_more = asked.send(process);
                    }
                }
                Ok(Word::Drain) => drain.store(true, Ordering::Release),
                Ok(Word::Failed { reason }) => {
                    alarm.raise(STAGE, PeersError::Stopped { whom: whom.clone(), reason });
                }
                Ok(_) => {} // what only the owner says
                Err(error) => {
                    if !self.over.load(Ordering::Acquire) {
                        alarm.raise(STAGE, lost(whom, &error));
                    }
                    self.open.send_modify(|open| *open -= 1);
                    return;
                }
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u64, mpsc::UnboundedSender<usize>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of a process whose line has ended.
pub(super) fn lost(whom: String, error: &std::io::Error) -> PeersError {
    let cause = match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        _ => error.to_string(),
    };
    PeersError::Lost { whom, cause }
}

/// Raises the alarm for a link that breaks, unless word comes in time of why it did.
pub(super) fn on_loss(
    place: &Place,
    runtime: &Handle,
    alarm: &Alarm,
    over: &Arc<AtomicBool>,
) -> OnLoss {
    let (place, runtime, alarm, over) =
        (place.clone(), runtime.clone(), alarm.clone(), Arc::clone(over));
    Arc::new(move |to, cause| {
        let (whom, alarm, over) = (place.name(to), alarm.clone(), Arc::clone(&over));
        runtime.spawn(async move {
            tokio::time::sleep(GRACE).await;
            if !over.load(Ordering::Acquire) {
                alarm.raise(STAGE, PeersError::Lost { whom, cause });
            }
        });
    })
}
