//! The stages of the river, one a file.
//!
//! Before the weir ([`resequence`]) everything is parallel and unordered; after it everything is
//! single-file and in catalogue order. A stage never imports a stage: what two stages share is a
//! [`record`]. Nothing here knows of whole graphs, job files or the model.
//!
//! Every stage has two parts: an engine (plain types and functions, tested without a dataflow) and
//! a thin operator, an extension trait on the stream that moves batches through the engine.

pub mod admit;
pub mod analyzer;
pub mod batch;
pub mod catalogue;
pub mod chunk;
pub mod container;
pub mod decode;
pub mod deduplicate;
pub mod embed;
pub mod extract;
pub mod fault;
pub mod fetch;
pub mod frontier;
pub mod record;
pub mod resequence;
pub mod route;
pub mod steer;
pub mod tokenize;
pub mod train;
pub mod vectors;
pub mod vocabulary;
pub mod wake;

/// The timely timestamp: a numbered slice of the catalogue, the unit of order and of commit.
pub type Epoch = u64;

/// A stream of Arrow record batches of one kind, stamped with epochs.
pub type Batches<'scope, R> = timely::dataflow::Stream<'scope, Epoch, batch::Container<R>>;
