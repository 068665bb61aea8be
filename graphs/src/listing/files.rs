//! Files of this machine: offers those that match its patterns, once, by path.

use operators::{catalogue::files, record::Entry};

use super::{
    Trouble,
    kind::{Kind, NextOffer, Offer},
};
use crate::job::Files;

/// Files by patterns.
pub(super) struct FileList {
    // Taken by the one offer that there is.
    source: Option<Files>,
}

impl FileList {
    pub fn new(source: Files) -> Self {
        Self { source: Some(source) }
    }
}

impl Kind for FileList {
    fn next(&mut self) -> NextOffer<'_> {
        let offered = self.source.take().map(|source| offer(&source)).transpose();
        Box::pin(std::future::ready(offered))
    }
}

fn offer(source: &Files) -> Result<Offer, Trouble> {
    let entries = files::entries(&source.paths)?.into_iter().map(|file| {
        let entry = Entry {
            title: file.id.clone(),
            id: file.id,
            revision: file.revision,
            url: file.url.into(),
            orthography: source.orthography.clone(),
            ..Entry::default()
        };
        (entry, None)
    });
    Ok(Offer { entries: entries.collect(), is_whole: true })
}
