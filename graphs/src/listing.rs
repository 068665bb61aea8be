//! Lists sources: each is asked for what it has, side by side, and what is new takes part in the
//! catalogue.
//!
//! Catalogue order is drawn from the sources by the [mixture](operators::catalogue::mixture): in
//! turn, or by weight. Entries that the run has had with the same revision are left out, which is all
//! that resuming takes: what is left begins exactly where the last commit ended. A revised entry is an
//! entry again, and one that its library has no more is listed once as withdrawn.
//!
//! Sources are attached and detached while the job runs. An attached source is listed first, while
//! everything goes on, and takes part from the next epoch that is opened; that epoch is written to
//! the [journal](crate::control::journal) before it is opened, so that a run which goes on from an earlier
//! commit draws the same.

mod aozora;
mod drawn;
mod feed;
mod files;
mod had;
pub mod kind;
mod pages;
mod roster;
mod spool;
mod stdin;
mod trouble;

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use operators::{
    Epoch,
    extract::{Extractor, Rule, Rules},
    fault::Alarm,
};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::{
    control::{Command, journal::Entry},
    job::{FeedText, Job, JobError, Source, check_attached},
    peers::{Peers, PeersError},
    sample::SampleServer,
};
pub(crate) use drawn::{DrawnEpochs, Replay};
pub use had::Had;
use kind::{Kind, Offer, Reach};
use roster::Place;
pub use roster::RosterError;
pub(crate) use roster::{Beginning, Roster};
pub use trouble::Trouble;

/// Why a source cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("source \"{name}\": {trouble}")]
pub struct ListingError {
    /// The source.
    pub name: String,
    /// What is wrong with it.
    pub trouble: Box<Trouble>,
}

/// Why a source cannot be attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No job could read it.
    #[error(transparent)]
    Job(#[from] JobError),
    /// It cannot be listed.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// It cannot take part.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// Another process of the job cannot read it.
    #[error(transparent)]
    Peers(#[from] PeersError),
}

fn in_source(name: &str) -> impl FnOnce(Trouble) -> ListingError {
    move |trouble| ListingError { name: name.to_owned(), trouble: Box::new(trouble) }
}

/// The rules by which the pages of a job's sources are read.
///
/// # Errors
/// If a selector is none.
pub fn rules(job: &Job) -> Result<Rules, ListingError> {
    let rules = Rules::default();
    for source in &job.source {
        rules.insert(source.name(), extractor(source)?);
    }
    Ok(rules)
}

/// What reads the pages of a source.
fn extractor(source: &Source) -> Result<Extractor, ListingError> {
    Extractor::new(&rule(source)).map_err(|bad| in_source(source.name())(bad.into()))
}

/// The rule by which a source's pages are read.
pub fn rule(source: &Source) -> Rule {
    let or_body = |selector: &str| match selector {
        "" => "body".to_owned(),
        selector => selector.to_owned(),
    };
    match source {
        Source::Aozora(_) | Source::Sample(_) => Rule::Aozora,
        Source::Pages(source) => Rule::Sniffed(or_body(&source.selector)),
        Source::Feed(source) => match source.text {
            FeedText::Page => Rule::Sniffed(or_body(&source.selector)),
            FeedText::Content => Rule::Selector(or_body(&source.selector)),
        },
        Source::Files(source) => Rule::Sniffed(or_body(&source.selector)),
        Source::Stdin(_) => Rule::PlainText,
    }
}

/// Whether an entry is never trained on: a share of all entries, by a hash of the id alone, so that
/// it is the same in every job and every revision.
pub fn is_held_out(id: &str, share: f64) -> bool {
    let hash = Sha256::digest(id);
    let leading = u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"));
    (leading as f64) < share * 2f64.powi(64)
}

/// How long attaching waits for the first offer of an endless source, so that one that fails at once
/// is refused.
const FIRST_OFFER: Duration = Duration::from_secs(5);

/// Asks the sources what they have, and attaches and detaches them. Clones are the same lister.
#[derive(Clone)]
pub struct Lister {
    pub(crate) roster: Roster,
    pub(crate) reach: Reach,
    pub(crate) rules: Arc<Rules>,
    /// Asks, whoever attaches.
    pub(crate) runtime: Handle,
    /// What the job was started with.
    pub(crate) job: Arc<Job>,
    pub(crate) alarm: Alarm,
    /// The other processes, which must read its pages, too.
    pub(crate) peers: Peers,
    // Served once a source reads it.
    pub(crate) sample: Arc<Mutex<Option<SampleServer>>>,
}

impl Lister {
    /// Lists the sources of the job, which take part from the beginning, and those that earlier runs
    /// have attached. One that cannot be listed stops the job: with half a catalogue it would be
    /// another job.
    ///
    /// # Errors
    /// If the sample library cannot be served, or sources cannot stand beside each other.
    pub(crate) fn begin(&self, told: &[Entry]) -> Result<(), AttachError> {
        for source in &self.job.source {
            kind::permit(source, &self.reach(source)?);
            self.add(source, 0)?;
        }
        for Entry { epoch, command, .. } in told {
            match command {
                Command::Attach { source } => {
                    self.roster.admits(source.name())?;
                    self.rules.insert(source.name(), extractor(source)?);
                    self.add(source, *epoch)?;
                }
                Command::Detach { name } => self.roster.remove(name, *epoch)?,
                _ => {} // the helm's
            }
        }
        Ok(())
    }

    fn add(&self, source: &Source, from: Epoch) -> Result<(), ListingError> {
        let kind = self.open(source)?;
        let place = self.roster.add(source, kind.is_endless(), from);
        self.runtime.spawn(self.clone().list(kind, source.name().to_owned(), place));
        Ok(())
    }

    fn open(&self, source: &Source) -> Result<Box<dyn Kind>, ListingError> {
        Ok(kind::open(source, &self.reach(source)?))
    }

    /// What a source reaches the world through: where it is the sample library, that is served now.
    fn reach(&self, source: &Source) -> Result<Reach, ListingError> {
        let mut reach = self.reach.clone();
        if matches!(source, Source::Sample(_)) {
            let mut sample = self.sample.lock().expect("nothing panics while it holds the server");
            let server = match &mut *sample {
                Some(server) => server,
                None => {
                    let server = SampleServer::start(&self.runtime);
                    let server = server.map_err(|e| in_source(source.name())(Trouble::Serve(e)))?;
                    sample.insert(server)
                }
            };
            reach.sample = Some(server.address());
        }
        Ok(reach)
    }

    /// Hands on what a source offers until it ends.
    async fn list(self, mut kind: Box<dyn Kind>, name: String, place: Place) {
        loop {
            match kind.next().await {
                Ok(Some(offer)) => self.roster.offer(place, self.entered(&name, offer)),
                Ok(None) => return self.roster.end(place),
                // That it has ended is never said, so its epochs are not opened without it.
                Err(trouble) => return self.alarm.raise("catalogue", in_source(&name)(trouble)),
            }
        }
    }

    /// An offer whose entries say what the source cannot know.
    fn entered(&self, name: &str, mut offer: Offer) -> Offer {
        for (entry, _) in &mut offer.entries {
            entry.source = name.to_owned();
            entry.held_out = is_held_out(&entry.id, self.job.held_out.share);
        }
        offer
    }

    /// Attaches a source: lists it while everything goes on, then has it take part from the next
    /// epoch that is opened. `journal` writes that epoch down, before it can be opened.
    ///
    /// # Errors
    /// If there is a source of that name, the source cannot be listed, the job is about to end, or
    /// the journal cannot be written. Nothing has changed then, and the job goes on.
    pub async fn attach(
        &self,
        source: Source,
        journal: impl FnOnce(Epoch) -> io::Result<()> + Send,
    ) -> Result<Epoch, AttachError> {
        check_attached(&source, &self.job)?;
        let name = source.name().to_owned();
        let _keeps_the_catalogue_open = self.roster.expect();
        self.roster.admits(&name)?;
        let extractor = extractor(&source)?;
        let kind = self.open(&source)?;
        let is_endless = kind.is_endless();
        // On the job's own threads, which also keep the connections, whoever asks.
        let first = self.runtime.spawn(first_offers(kind)).await;
        let (kind, offers) = first
            .unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
            .map_err(in_source(&name))?;
        let offers = offers.into_iter().map(|offer| self.entered(&name, offer));
        self.rules.insert(name.as_str(), extractor);
        self.peers.announce(&source).await?;
        let (place, epoch) = self.roster.attach(&source, is_endless, journal)?;
        offers.for_each(|offer| self.roster.offer(place, offer));
        match kind {
            Some(kind) => drop(self.runtime.spawn(self.clone().list(kind, name, place))),
            None => self.roster.end(place),
        }
        Ok(epoch)
    }

    /// Detaches a source: no entry of it is drawn any more from the next epoch on that is opened,
    /// which `journal` writes down first. What the run has had of it stays.
    ///
    /// # Errors
    /// If no source of that name takes part, the job is about to end, or the journal cannot be
    /// written. Nothing has changed then, and the job goes on.
    pub fn detach(
        &self,
        name: &str,
        journal: impl FnOnce(Epoch) -> io::Result<()>,
    ) -> Result<Epoch, RosterError> {
        self.roster.detach(name, journal)
    }
}

/// All that a source offers, or of an endless one the first, if it comes soon; and the source, if it
/// has not ended.
async fn first_offers(
    mut kind: Box<dyn Kind>,
) -> Result<(Option<Box<dyn Kind>>, Vec<Offer>), Trouble> {
    let mut offers = Vec::new();
    if kind.is_endless() {
        // What was under way comes again with the next question.
        return match tokio::time::timeout(FIRST_OFFER, kind.next()).await {
            Ok(Ok(None)) => Ok((None, offers)),
            Ok(offer) => {
                offers.extend(offer?);
                Ok((Some(kind), offers))
            }
            Err(_later) => Ok((Some(kind), offers)),
        };
    }
    while let Some(offer) = kind.next().await? {
        offers.push(offer);
    }
    Ok((None, offers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_held_out_share_is_about_that_share_and_grows_with_it() {
        let ids: Vec<String> = (0..10_000).map(|id| format!("000001/{id:06}")).collect();
        let count = |share| ids.iter().filter(|id| is_held_out(id, share)).count();
        assert_eq!(count(0.0), 0);
        assert!((150..250).contains(&count(0.02)), "{}", count(0.02)); // 200 ± 3.5 σ
        assert!(ids.iter().all(|id| !is_held_out(id, 0.02) || is_held_out(id, 0.05)));
    }
}
