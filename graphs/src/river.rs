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
    route::{Loads, Relieve, Route, Sites, ToReaders},
    steer::Rudder,
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

use crate::control::{Gauges, Helm, Stage};

/// The worker that everything after the weir runs on.
pub const OWNER: u64 = 0;

/// What the stages before the weir share, on every worker.
#[derive(Clone)]
pub struct Tools {
    /// How the catalogue is cut.
    pub slicing: Slicing,
    /// What the catalogue steers by, and where it is shown how far the river has come.
    pub helm: Helm,
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
    /// Which process asks which site, if there are several.
    pub sites: Sites,
    /// What this process's workers have to read.
    pub loads: Loads,
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
    tools: &Tools,
    spring: Option<Spring>,
    learnt: &ProbeHandle<Epoch>,
) -> (Batches<'scope, Words>, Batches<'scope, Reject>) {
    let (listing, known) =
        spring.map_or((None, Vec::new()), |spring| (Some(spring.listing), spring.known));

    let (plan, gauges) = (tools.helm.plan().clone(), tools.helm.gauges());
    let gathered = ProbeHandle::new();
    let rudder = Rudder { plan: plan.clone(), gathered: gathered.clone() };

    let (entries, unusable) = catalogue(scope, listing, tools.slicing, learnt, rudder);
    let entries = gauges.count(Stage::Catalogue, entries);
    let entries = entries.route(plan, &tools.sites);
    let (pages, unfetched) = entries.fetch(&tools.client, &tools.runtime, &tools.alarm);
    let unfetched = gauges.count(Stage::Unfetched, unfetched);
    let pages = gauges.count(Stage::Fetch, pages).to_readers(&tools.loads, &gathered);
    let (documents, unread) = pages.extract(&tools.rules);
    let (documents, repeated) = gauges.count(Stage::Extract, documents).deduplicate(known);
    let documents = gauges.count(Stage::Deduplicate, documents);
    let words = documents.tokenize(&tools.dictionary).embed(tools.vectors.as_ref());
    let words = words.relieve(&tools.loads);
    // The weir: before it many and unordered, after it one and in catalogue order.
    let rejects = unusable.concat(unfetched).concat(unread).concat(repeated);
    let words = gauges.count(Stage::Tokenize, words).resequence(OWNER).probe_with(&gathered);
    (gauges.count(Stage::Resequence, words), gauges.count(Stage::Reject, rejects))
}

/// Has `learnt` follow the end of a graph, and the catalogue go on whenever that moves.
pub fn follow<C: Container>(
    end: Stream<'_, Epoch, C>,
    learnt: &ProbeHandle<Epoch>,
    gauges: &Gauges,
    catalogue: Option<Waker>,
) {
    let gauges = gauges.clone();
    end.probe_with(learnt).inspect_core(move |event| {
        if let Err(frontier) = event {
            gauges.learnt(frontier.first().copied());
            if let Some(catalogue) = &catalogue {
                catalogue.wake();
            }
        }
    });
}
