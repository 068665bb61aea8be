//! Who takes part in the catalogue, from which epoch to which, and what of it was drawn.
//!
//! The lister brings offers, the catalogue's operator draws epochs, and commands attach and detach
//! sources: each under one lock. So a command finds the first epoch that is not drawn, is written
//! down, and holds from that epoch on, before anybody can draw it.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use crossbeam_channel::Sender;
use operators::{
    Epoch,
    catalogue::{
        Draw, Line,
        mixture::{Drawn, Member, Mixture, Part},
    },
    fault::Alarm,
    wake::Waker,
};

use super::{
    drawn::{DrawnEpochs, Replay},
    had::{Had, Known},
    kind::Offer,
};
use crate::{
    events::{Event, Listed},
    job::Source,
};

/// What a roster is made from.
pub(crate) struct Beginning {
    /// The job's seed.
    pub seed: u64,
    /// Entries in an epoch.
    pub epoch_entries: usize,
    /// The first epoch that is to be drawn.
    pub first: Epoch,
    /// What earlier runs had, up to `first`.
    pub had: Had,
    /// Where epochs are written down that cannot be drawn again, and those that were.
    pub drawn: Option<(DrawnEpochs, Replay)>,
    pub waker: Waker,
    pub events: Sender<Event>,
    pub alarm: Alarm,
}

/// The sources that take part. Clones are the same roster.
#[derive(Clone)]
pub(crate) struct Roster {
    inner: Arc<Mutex<Inner>>,
    waker: Waker,
}

struct Inner {
    mixture: Mixture<Line>,
    participants: Vec<Participant>,
    had: Had,
    // The first epoch that is not drawn.
    next: Epoch,
    // The catalogue has ended: nothing will be drawn any more.
    closed: bool,
    // Commands under way, which may bring something.
    expected: usize,
    drawn: Option<DrawnEpochs>,
    replay: Replay,
    events: Sender<Event>,
    alarm: Alarm,
}

/// A source in the mixture.
struct Participant {
    name: String,
    member: Member,
    from: Epoch,
    until: Option<Epoch>,
    // What it has told, from the epoch on that it takes part.
    told: Option<Known>,
    // What it has offered before that.
    offers: Vec<Offer>,
    has_ended: bool,
}

/// Why a source cannot be attached or detached.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// There is one of that name.
    #[error("a source named \"{0}\" takes part already; give this one another name")]
    Attached(String),
    /// There is none of that name.
    #[error("no source named \"{0}\" takes part; `seseragi status` lists those that do")]
    Unknown(String),
    /// The job is about to end.
    #[error("the catalogue has ended, and the job with it; attach it to the next run")]
    Ended,
    /// The command could not be written down, so it does not hold.
    #[error("could not write the journal: {0}; nothing has changed")]
    Journal(#[from] io::Error),
}

/// While this is there the catalogue does not end: something is about to be attached.
pub(super) struct Expectation(Roster);

impl Drop for Expectation {
    fn drop(&mut self) {
        self.0.lock().expected -= 1;
        self.0.waker.wake();
    }
}

impl Roster {
    pub fn new(beginning: Beginning) -> Self {
        let Beginning { seed, epoch_entries, first, had, drawn, waker, events, alarm } = beginning;
        let (drawn, replay) =
            drawn.map_or((None, Replay::new()), |(drawn, replay)| (Some(drawn), replay));
        let inner = Inner {
            mixture: Mixture::new(seed, epoch_entries),
            participants: Vec::new(),
            had,
            next: first,
            closed: false,
            expected: 0,
            drawn,
            replay,
            events,
            alarm,
        };
        Self { inner: Arc::new(Mutex::new(inner)), waker }
    }

    /// Keeps the catalogue open for what is about to be attached.
    pub(super) fn expect(&self) -> Expectation {
        self.lock().expected += 1;
        Expectation(self.clone())
    }

    /// Adds a source that takes part from `from` on, as an earlier run has settled.
    pub(super) fn add(&self, source: &Source, is_endless: bool, from: Epoch) -> Place {
        self.lock().add(source, is_endless, from)
    }

    /// Removes a source from `epoch` on, as an earlier run has settled.
    pub(super) fn remove(&self, name: &str, epoch: Epoch) -> Result<(), RosterError> {
        self.lock().remove(name, epoch)
    }

    /// Whether a source of this name could be attached now.
    pub(super) fn admits(&self, name: &str) -> Result<(), RosterError> {
        self.lock().admits(name)
    }

    /// Has a source take part from the next epoch that is opened, which `journal` writes down first.
    /// `offers` are there already.
    pub(super) fn attach(
        &self,
        source: &Source,
        is_endless: bool,
        journal: impl FnOnce(Epoch) -> io::Result<()>,
    ) -> Result<(Place, Epoch), RosterError> {
        let mut inner = self.lock();
        inner.admits(source.name())?;
        let epoch = inner.next;
        journal(epoch)?;
        Ok((inner.add(source, is_endless, epoch), epoch))
    }

    /// Has a source take no part from the next epoch that is opened, which `journal` writes down
    /// first.
    pub(super) fn detach(
        &self,
        name: &str,
        journal: impl FnOnce(Epoch) -> io::Result<()>,
    ) -> Result<Epoch, RosterError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(RosterError::Ended);
        }
        let epoch = inner.next;
        inner.present(name).ok_or_else(|| RosterError::Unknown(name.to_owned()))?;
        journal(epoch)?;
        inner.remove(name, epoch)?;
        drop(inner);
        self.waker.wake();
        Ok(epoch)
    }

    /// Takes what a source offers.
    pub(super) fn offer(&self, Place(place): Place, offer: Offer) {
        let mut inner = self.lock();
        inner.participants[place].offers.push(offer);
        inner.hear();
        drop(inner);
        self.waker.wake();
    }

    /// Notes that a source will offer nothing more.
    pub(super) fn end(&self, Place(place): Place) {
        let mut inner = self.lock();
        inner.participants[place].has_ended = true;
        inner.hear();
        drop(inner);
        self.waker.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it holds the roster")
    }
}

/// Where a source stands in the roster.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

impl Draw for Roster {
    fn draw(&mut self, epoch: Epoch, idle: bool) -> Drawn<Line> {
        self.lock().draw(epoch, idle)
    }
}

impl Inner {
    fn add(&mut self, source: &Source, is_endless: bool, from: Epoch) -> Place {
        let member = self.mixture.add(Part { weight: source.weight(), from, is_endless });
        self.participants.push(Participant {
            name: source.name().to_owned(),
            member,
            from,
            until: None,
            told: None,
            offers: Vec::new(),
            has_ended: false,
        });
        Place(self.participants.len() - 1)
    }

    fn remove(&mut self, name: &str, epoch: Epoch) -> Result<(), RosterError> {
        let unknown = || RosterError::Unknown(name.to_owned());
        let present = self.present(name).ok_or_else(unknown)?;
        present.until = Some(epoch);
        let member = present.member;
        self.mixture.remove(member, epoch);
        Ok(())
    }

    fn admits(&mut self, name: &str) -> Result<(), RosterError> {
        match (self.closed, self.present(name)) {
            (true, _) => Err(RosterError::Ended),
            (_, Some(_)) => Err(RosterError::Attached(name.to_owned())),
            (_, None) => Ok(()),
        }
    }

    /// The source of this name that was not detached.
    fn present(&mut self, name: &str) -> Option<&mut Participant> {
        let mut all = self.participants.iter_mut();
        all.find(|participant| participant.until.is_none() && participant.name == name)
    }

    /// Queues what is new in the offers of those that take part in the next epoch. Not before: a
    /// source that was detached and is attached again goes on where it was left.
    fn hear(&mut self) {
        let Self { mixture, participants, had, next, replay, events, .. } = self;
        let heard = participants.iter_mut().filter(|participant| participant.from <= *next);
        for Participant { name, member, told, offers, has_ended, .. } in heard {
            let told = told.get_or_insert_with(|| {
                let mut told = had.of_source(name);
                let own = replay.iter().flat_map(|(_, lines)| lines);
                own.filter(|line| line.entry().source == *name).for_each(|line| told.note(line));
                told
            });
            for offer in offers.drain(..) {
                let offered = offer.entries.len() as u64;
                let mut listed = Listed { source: name.clone(), offered, ..Listed::default() };
                let news = told.news(offer);
                for line in &news {
                    match line {
                        Line::Read(_) => listed.new += 1,
                        Line::Unusable(..) => listed.unusable += 1,
                        Line::Withdrawn(_) => listed.withdrawn += 1,
                    }
                }
                mixture.offer(*member, news);
                let _nobody_watches = events.send(Event::Listed(listed));
            }
            if *has_ended {
                mixture.end(*member);
            }
        }
    }

    fn draw(&mut self, epoch: Epoch, idle: bool) -> Drawn<Line> {
        self.next = epoch;
        self.hear();
        let drawn = match self.replay.pop_front_if(|(drawn, _)| *drawn == epoch) {
            Some((_, lines)) => {
                let next = lines.iter().map(|line| line.entry().sequence + 1).max();
                self.had.note(&lines, next.unwrap_or_default());
                Drawn::Slice(lines)
            }
            None => self.fresh(epoch, idle),
        };
        if let Drawn::Slice(_) = drawn {
            self.next = epoch + 1;
        }
        drawn
    }

    /// An epoch that no earlier run has drawn.
    fn fresh(&mut self, epoch: Epoch, idle: bool) -> Drawn<Line> {
        let first = self.had.next_sequence();
        let lines = match self.mixture.draw(epoch, first, idle) {
            Drawn::Slice(lines) => lines,
            Drawn::Ended if self.expected > 0 => return Drawn::Waiting,
            Drawn::Ended => {
                self.closed = idle;
                return Drawn::Ended;
            }
            nothing => return nothing,
        };
        let numbered = self.had.numbered(&lines);
        if let Some(drawn) = self.drawn.as_mut().filter(|_| self.mixture.is_open_ended(epoch))
            && let Err(error) = drawn.append(epoch, &numbered)
        {
            // An epoch that could not come again must not be opened.
            let path = drawn.path().display();
            self.alarm.raise("catalogue", format!("could not write \"{path}\": {error}"));
            return Drawn::Waiting;
        }
        self.had.note(&lines, first + lines.len() as u64);
        Drawn::Slice(numbered)
    }
}

#[cfg(test)]
mod tests;
