//! The part of the river that every graph shares: from the catalogue to the weir.

use std::sync::{Arc, atomic::AtomicBool};

use operators::{
    Batches, Epoch,
    analyzer::Dictionary,
    catalogue::{Listing, Slicing, catalogue},
    deduplicate::Deduplicate,
    embed::Embed,
    extract::{Extract, Rules},
    fault::Alarm,
    fetch::{Client, Fetch},
    record::{Reject, Words},
    resequence::Resequence,
    route::{Route, Routing},
    tokenize::Tokenize,
    vectors::Vectors,
    wake::Waker,
};
use timely::{
    Container,
    dataflow::{
        ProbeHandle, Scope, Stream,
        operators::{Inspect, Probe, core::Concat},
    },
};

/// The worker that everything after the weir runs on.
pub const OWNER: u64 = 0;

/// What the stages before the weir share, on every worker.
#[derive(Clone)]
pub struct Tools {
    /// How the catalogue is cut.
    pub slicing: Slicing,
    /// Which workers get work.
    pub routing: Routing,
    /// Fetches pages.
    pub client: Client,
    /// Runs the fetches.
    pub runtime: tokio::runtime::Handle,
    /// Raised by a stage that cannot go on.
    pub alarm: Alarm,
    /// How pages are read.
    pub rules: Arc<Rules>,
    /// How text is cut into words.
    pub dictionary: Arc<Dictionary>,
    /// Pretrained vectors.
    pub vectors: Option<Arc<Vectors>>,
    /// Ends the catalogue early.
    pub drain: Arc<AtomicBool>,
}

/// Where the river springs: on the owner only.
pub struct Spring {
    /// The entries.
    pub listing: Listing,
    /// Fingerprints of the documents that passed in earlier runs, with their sequence numbers.
    pub known: Vec<(u128, u64)>,
}

/// Documents in words, in catalogue order on the owner, and what was rejected on the way. `learnt`
/// follows whatever the graph does with them, and holds the catalogue back.
pub fn river<'scope>(
    scope: Scope<'scope, Epoch>,
    tools: Tools,
    spring: Option<Spring>,
    learnt: &ProbeHandle<Epoch>,
) -> (Batches<'scope, Words>, Batches<'scope, Reject>) {
    let (listing, known) =
        spring.map_or((None, Vec::new()), |spring| (Some(spring.listing), spring.known));

    let (entries, unusable) = catalogue(scope, listing, tools.slicing, learnt);
    let (pages, unfetched) =
        entries.route(tools.routing).fetch(&tools.client, &tools.runtime, &tools.alarm);
    let (documents, unread) = pages.extract(&tools.rules);
    let (documents, repeated) = documents.deduplicate(known);
    let words = documents.tokenize(&tools.dictionary).embed(tools.vectors.as_ref());
    // The weir: before it many and unordered, after it one and in catalogue order.
    let rejects = unusable.concat(unfetched).concat(unread).concat(repeated);
    (words.resequence(OWNER), rejects)
}

/// Has `learnt` follow the end of a graph, and the catalogue go on whenever that moves.
pub fn follow<C: Container>(
    end: Stream<'_, Epoch, C>,
    learnt: &ProbeHandle<Epoch>,
    catalogue: Option<Waker>,
) {
    end.probe_with(learnt).inspect_core(move |event| {
        if let (Err(_frontier), Some(catalogue)) = (event, &catalogue) {
            catalogue.wake();
        }
    });
}
