//! The catalogues of sources: what there is to read, with revisions.

pub mod aozora;
pub mod files;
