//! What every kind of source does: it offers what it has, once or again and again.
//!
//! A kind is opened from the source as written, and asked for its next offer until it says that
//! there will be none. Kinds that end (a library's index, a sitemap) offer what they have and are
//! done; endless ones (a feed, a watched folder, standard input) wait until there is something new,
//! for as long as they are attached. What the run has had is none of their business: offers repeat
//! entries freely, and whoever takes them tells by key and revision what is new.
//!
//! A kind that is asked may be dropped at any await; nothing that it has offered before is lost by
//! that, and what was under way is offered by the next kind that is opened from the same source.

use std::{net::SocketAddr, path::PathBuf, pin::Pin};

use operators::{
    fetch::{Client, Url},
    record::Entry,
};

use super::{
    Trouble, aozora::AozoraLibrary, feed::Polled, files::FileList, pages::PageList,
    stdin::StdinLines,
};
use crate::job::{Aozora, Sample, Source};

/// What a source offers.
#[derive(Debug)]
pub struct Offer {
    /// Its entries, in its order; of those that cannot be used, why.
    pub entries: Vec<(Entry, Option<String>)>,
    /// Whether an entry that is not here is not there.
    pub is_whole: bool,
}

/// The next offer, once it is there; `None`: the source will never offer anything more.
pub type NextOffer<'a> = Pin<Box<dyn Future<Output = Result<Option<Offer>, Trouble>> + Send + 'a>>;

/// A source that can be asked what it has.
pub trait Kind: Send {
    /// Whether it goes on offering for as long as it is attached, so that nobody must wait for its
    /// end.
    fn is_endless(&self) -> bool {
        false
    }

    /// The next offer; waits for it where there is nothing new yet. Not to be asked again once it
    /// has said `None` or failed.
    fn next(&mut self) -> NextOffer<'_>;
}

/// What the kinds reach the world through.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The job's web client.
    pub client: Client,
    /// Where the sample library is served, if the job reads it.
    pub sample: Option<SocketAddr>,
    /// The run directory: what cannot be read again is kept there.
    pub run: PathBuf,
}

/// A source as written, ready to be asked. Nothing is read yet.
///
/// # Panics
/// If the source is the sample library and nobody serves it.
pub fn open(source: &Source, reach: &Reach) -> Box<dyn Kind> {
    match source {
        Source::Aozora(source) => Box::new(AozoraLibrary::new(source.clone(), reach)),
        Source::Sample(source) => Box::new(sample(source, reach)),
        Source::Pages(source) => Box::new(PageList::new(source.clone(), reach)),
        Source::Feed(source) => Box::new(Polled::new(source.clone(), reach)),
        Source::Files(source) => Box::new(FileList::new(source.clone(), reach)),
        Source::Stdin(source) => Box::new(StdinLines::new(source.clone(), reach)),
    }
}

/// Lets the client ask the sites that a source of the job file names, be they in a private network:
/// that the job itself names them is permission. Not for sources that are attached later.
pub fn permit(source: &Source, reach: &Reach) {
    let permit = |address: &str| {
        if let Ok(url) = address.parse::<Url>() {
            reach.client.permit(&url);
        }
    };
    match source {
        Source::Aozora(source) => {
            permit(&source.index);
            permit(&source.mirror);
        }
        Source::Pages(source) if source.allow_private => {
            let listed = std::fs::read_to_string(&source.list).unwrap_or_default();
            listed.lines().for_each(|address| permit(address.trim()));
            source.urls.iter().chain([&source.sitemap]).for_each(|address| permit(address));
        }
        Source::Feed(source) if source.allow_private => permit(&source.url),
        Source::Sample(_) => {
            reach.sample.iter().for_each(|address| permit(&format!("http://{address}")));
        }
        _ => {}
    }
}

/// The sample library is one of Aozora's kind, at the address where it is served.
fn sample(source: &Sample, reach: &Reach) -> AozoraLibrary {
    let address = reach.sample.expect("the runner serves the sample library to jobs that read it");
    let as_aozora = Aozora {
        mirror: format!("http://{address}"),
        wanted: source.wanted.clone(),
        ..Aozora::default()
    };
    AozoraLibrary::new(as_aozora, reach)
}
