//! Whole dataflows, the job file, checkpoints and the runner.

pub mod sample;
