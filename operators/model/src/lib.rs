//! The network, its optimizer, its trainer and its voice. Knows tensors; knows no dataflow.
//!
//! A [`Trainer`] owns a [`Network`] and everything that training changes: it learns chunk after
//! chunk of word ids, grows a row for every new word, and can be copied, written and loaded so that
//! the loaded trainer goes on bit for bit as the unbroken one would have. A [`Network`] alone
//! scores text ([`Network::score`], or learning as it reads: [`dynamic`]) and continues it
//! ([`Sampler`]).
//!
//! What is random here (first weights, rows of new words, dropout, sampling) is drawn by generators
//! that are functions of a seed and a name or number, never by one that remembers: nothing of them
//! need be saved. On one machine, on the CPU, in float32 and with a fixed number of threads, the
//! same calls give the same bits.

pub mod clip;
pub mod device;
pub mod digest;
pub mod dynamic;
mod error;
pub mod ext;
pub mod layout;
pub mod network;
pub mod optimizer;
pub mod passage;
pub mod precision;
pub mod profile;
pub mod regularization;
pub mod sample;
pub mod schedule;
pub mod score;
mod seed;
pub mod settings;
pub mod shape;
pub mod state;
pub mod trainer;

pub use clip::Clip;
pub use device::DeviceChoice;
pub use dynamic::Adaptation;
pub use error::Error;
pub use network::{Network, NewRow, Targets};
pub use optimizer::Optimizer;
pub use precision::Precision;
pub use profile::{GradientProfile, SpectralNorm};
pub use regularization::Regularization;
pub use sample::Sampler;
pub use schedule::{Decay, Schedule};
pub use score::Score;
pub use settings::{Settings, Vectors};
pub use shape::{Cell, Shape, Softmax};
pub use state::{Frozen, TrainerState};
pub use trainer::{ChunkReport, Material, StepReport, Trainer};

/// The word id that stands between documents, and before the first.
pub const DOCUMENT: u32 = 0;
