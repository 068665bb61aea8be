//! Whole dataflows, the job file, checkpoints and the runner.
//!
//! [`run::run`] is the main job: [`training`] is its dataflow on one page, [`learner`] the thread
//! behind its sink, [`checkpoint`] what is durable. [`job`] is the job file.

pub mod changes;
pub mod checkpoint;
pub mod control;
pub mod directory;
pub mod drive;
pub mod error;
pub mod evaluate;
pub mod events;
pub mod export;
pub mod follow;
pub mod job;
pub mod learner;
pub mod ledger;
pub mod listing;
pub mod metrics;
pub mod passage;
pub mod peers;
pub mod picture;
pub mod repetition;
pub mod report;
pub mod river;
pub mod run;
pub mod sample;
pub mod trained;
pub mod training;
pub mod tune;
