//! Aozora Bunko, or a mirror of it: offers the works in its index, once.

use operators::{
    catalogue::aozora,
    fetch::{Client, Url},
    record::Entry,
};

use super::{
    Trouble,
    kind::{Kind, NextOffer, Offer, Reach},
};
use crate::job::Aozora;

/// A library with an index in Aozora Bunko's format.
pub(super) struct AozoraLibrary {
    client: Client,
    // Taken by the one offer that there is.
    source: Option<Aozora>,
}

impl AozoraLibrary {
    pub fn new(source: Aozora, reach: &Reach) -> Self {
        Self { client: reach.client.clone(), source: Some(source) }
    }
}

impl Kind for AozoraLibrary {
    fn next(&mut self) -> NextOffer<'_> {
        Box::pin(async {
            match self.source.take() {
                Some(source) => offer(&source, &self.client).await.map(Some),
                None => Ok(None),
            }
        })
    }
}

async fn offer(source: &Aozora, client: &Client) -> Result<Offer, Trouble> {
    let mirror = source.mirror.parse::<Url>().ok();
    let address: Url = source.index.parse().expect("checked with the job");
    let address = match &mirror {
        Some(mirror) => aozora::moved(&address, mirror),
        None => address,
    };
    let fetched = client.get(&address).await;
    let index =
        fetched.map_err(|source| Trouble::Fetch { url: address, source: Box::new(source) })?;
    let index = aozora::entries(&index.body, &source.wanted, mirror.as_ref())?;
    let usable = index.entries.into_iter().map(|work| {
        let entry = Entry {
            url: work.url.into(),
            id: work.id,
            revision: work.revision,
            title: work.title,
            credit: work.credit,
            orthography: work.orthography,
            ..Entry::default()
        };
        (entry, None)
    });
    let unusable = index.skipped.into_iter().map(|skipped| {
        let reason = skipped.reason.to_string();
        let unnamed = skipped.id.is_empty();
        let entry = Entry {
            id: if unnamed { format!("line {}", skipped.line) } else { skipped.id },
            // Once it can be used it has another revision, and is read.
            revision: format!("unusable: {reason}"),
            title: skipped.title,
            ..Entry::default()
        };
        (entry, Some(format!("line {} of the index: {reason}", skipped.line)))
    });
    let is_whole = source.wanted.limit.is_none();
    Ok(Offer { entries: usable.chain(unusable).collect(), is_whole })
}
