//! Another process's end of its line: what the owner says, and what it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use operators::{
    Epoch,
    extract::{Extractor, Rules},
    fault::Alarm,
    fetch::Client,
};
use tokio::{
    net::{TcpStream, tcp::OwnedReadHalf},
    runtime::Handle,
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    OWNERS, PeersError, Place,
    line::Line,
    link::OnLoss,
    owner::{STAGE, lost, on_loss},
    words::{End, Word, hear},
};
use crate::{control::Gauges, job::Source, listing};

/// How often the owner is told how far this process has come, if it has.
const TELLING: Duration = Duration::from_millis(500);

/// How long the owner may take to hear why this process cannot go on.
const PARTING: Duration = Duration::from_secs(3);

/// How it ended: as the owner says, or without a word of it.
type Outcome = Result<End, PeersError>;

/// This process as one that follows the owner's.
pub struct Follower {
    place: Place,
    line: Line,
    // Set once it is over: what is closed then is not lost.
    over: Arc<AtomicBool>,
    outcome: watch::Receiver<Option<Outcome>>,
}

/// What the owner says at first.
pub struct Begun {
    /// The first epoch.
    pub first: Epoch,
    /// Sources attached by earlier runs.
    pub attached: Vec<Source>,
    /// Sites that may be asked.
    pub permitted: Vec<String>,
    line: OwnedReadHalf,
    tell: watch::Sender<Option<Outcome>>,
}

/// What the owner's words bear on, and what it is told of.
#[derive(Clone)]
pub struct Charge {
    /// How pages are read.
    pub rules: Arc<Rules>,
    /// Raised when the owner's process is lost.
    pub alarm: Alarm,
    /// How far this process has come.
    pub gauges: Gauges,
    /// How fetching goes.
    pub client: Client,
    /// Set to have the workers end.
    pub stop: Arc<AtomicBool>,
    /// Set when somebody asks this process to end.
    pub drain: Arc<AtomicBool>,
}

impl Follower {
    /// Waits until the owner says that the work begins.
    ///
    /// # Errors
    /// If it goes, or fails before.
    pub async fn begin(
        place: &Place,
        stream: TcpStream,
        runtime: &Handle,
    ) -> Result<(Self, Begun), PeersError> {
        let whom = || place.name(OWNERS);
        let (line, mut hears) = Line::over(stream, runtime);
        let (tell, outcome) = watch::channel(None);
        loop {
            match hear(&mut hears).await.map_err(|error| lost(whom(), &error))? {
                Word::Begin { first, attached, permitted } => {
                    let follower =
                        Self { place: place.clone(), line, over: Arc::default(), outcome };
                    let begun = Begun { first, attached, permitted, line: hears, tell };
                    return Ok((follower, begun));
                }
                Word::End(End::Failed { reason }) => {
                    return Err(PeersError::Stopped { whom: whom(), reason });
                }
                _ => {} // nothing else is said before
            }
        }
    }

    /// Does what the owner says, and tells it how far this process has come, until it is over.
    pub fn attend(&self, begun: Begun, charge: &Charge, runtime: &Handle) {
        let whom = self.place.name(OWNERS);
        let listen =
            listen(begun.line, self.line.clone(), charge.clone(), Arc::clone(&self.over), whom);
        runtime.spawn(async move {
            let _nobody_waits = begun.tell.send(Some(listen.await));
        });
        runtime.spawn(report(self.line.clone(), charge.clone(), self.outcome.clone()));
    }

    /// What to do when a link breaks.
    pub fn on_loss(&self, runtime: &Handle, alarm: &Alarm) -> OnLoss {
        on_loss(&self.place, runtime, alarm, &self.over)
    }

    /// Waits until the owner has said how it ended, or has gone.
    ///
    /// # Errors
    /// If the job has failed, or the owner's process is lost.
    pub async fn outcome(mut self) -> Result<(), PeersError> {
        let outcome = self.outcome.wait_for(Option::is_some).await;
        let told = outcome.ok().and_then(|told| told.clone()).expect("the listener tells it last");
        self.over.store(true, Ordering::Release);
        match told? {
            End::Well => Ok(()),
            End::Failed { reason } => {
                Err(PeersError::Stopped { whom: self.place.name(OWNERS), reason })
            }
        }
    }

    /// Tells the owner why this process cannot go on, and waits until it has heard.
    pub async fn fail(mut self, reason: String) {
        self.over.store(true, Ordering::Release);
        self.line.say(Word::Failed { reason });
        let _in_time = timeout(PARTING, self.outcome.wait_for(Option::is_some)).await;
    }
}

async fn listen(
    mut from: OwnedReadHalf,
    line: Line,
    charge: Charge,
    over: Arc<AtomicBool>,
    whom: String,
) -> Outcome {
    loop {
        match hear::<Word>(&mut from).await {
            Ok(Word::Attach { number, source }) => match Extractor::new(&listing::rule(&source)) {
                Ok(extractor) => {
                    charge.rules.insert(source.name(), extractor);
                    line.say(Word::Attached { number });
                }
                Err(bad) => charge.alarm.raise("extract", bad),
            },
            Ok(Word::End(end)) => {
                over.store(true, Ordering::Release);
                charge.stop.store(true, Ordering::Release);
                charge.gauges.wake_workers();
                return Ok(end);
            }
            Ok(_) => {} // what only others say
            Err(error) => {
                let lost = lost(whom, &error);
                charge.alarm.raise(STAGE, lost.clone());
                return Err(lost);
            }
        }
    }
}

async fn report(line: Line, charge: Charge, mut outcome: watch::Receiver<Option<Outcome>>) {
    let mut ticks = interval(TELLING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut asked) = (None, false);
    loop {
        tokio::select! {
            _ = outcome.wait_for(Option::is_some) => return,
            _ = ticks.tick() => {}
        }
        let reading = charge.gauges.reading(Some(charge.client.counters()));
        if told.as_ref() != Some(&reading) {
            line.say(Word::Reading(reading.clone()));
            told = Some(reading);
        }
        if !asked && charge.drain.load(Ordering::Acquire) {
            asked = true;
            line.say(Word::Drain);
        }
    }
}
