//! A feed: offers its new items whenever it has some, oldest first, for as long as it is attached.
//!
//! Every poll is a conditional request. The first must succeed; one that fails later is made up for by
//! the next. Where an item's text is its own content, the feed will drop it some day: so it is in the
//! run's spool before anybody hears of it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use operators::{
    catalogue::feed::{self, Item},
    container::{Columns, record_of, text_of},
    fetch::{self, Url},
    record::Entry,
};
use serde_json::json;

use super::{
    Trouble,
    kind::{Kind, NextOffer, Offer, Reach},
    spool::Spool,
};
use crate::job::{Feed, FeedText};

/// A feed.
pub(super) struct Polled {
    source: Feed,
    reach: Reach,
    // What was offered, in which revision.
    offered: HashMap<String, String>,
    polls: u64,
    // There where the items' own texts are read.
    spool: Option<Spool>,
}

impl Polled {
    pub fn new(source: Feed, reach: &Reach) -> Self {
        Self { source, reach: reach.clone(), offered: HashMap::new(), polls: 0, spool: None }
    }

    async fn next_offer(&mut self) -> Result<Option<Offer>, Trouble> {
        if self.source.text == FeedText::Content && self.spool.is_none() {
            let spool = Spool::open(&self.reach.run, &self.source.name)?;
            let entries = spooled(&spool, &self.source.orthography)?;
            self.spool = Some(spool);
            if !entries.is_empty() {
                return Ok(Some(self.offer(entries)));
            }
        }
        let address: Url = self.source.url.parse().expect("checked with the job");
        loop {
            if self.polls > 0 {
                tokio::time::sleep(Duration::from_secs_f64(self.source.every)).await;
            }
            self.polls += 1;
            let items = match self.poll(&address).await {
                Ok(items) => items,
                Err(trouble @ Trouble::Fetch { .. }) if is_fatal(&trouble) => return Err(trouble),
                Err(_) if self.polls > 1 => continue,
                Err(trouble) => return Err(trouble),
            };
            let entries = match &mut self.spool {
                None => items.into_iter().map(|item| by_page(item, &self.source)).collect(),
                Some(spool) => {
                    let has_text = |item: &&Item| item.content.is_some();
                    let lines: Vec<_> = items.iter().filter(has_text).map(line).collect();
                    spool.add(&lines)?;
                    spooled(spool, &self.source.orthography)?
                }
            };
            let offer = self.offer(entries);
            if !offer.entries.is_empty() {
                return Ok(Some(offer));
            }
        }
    }

    async fn poll(&self, address: &Url) -> Result<Vec<Item>, Trouble> {
        let fetched =
            self.reach.client.poll(address).await.map_err(|source| Trouble::Fetch {
                url: address.clone(),
                source: Box::new(source),
            })?;
        Ok(feed::items(&fetched.body, &fetched.address).map_err(Box::new)?)
    }

    /// What of this was not offered before.
    fn offer(&mut self, mut entries: Vec<(Entry, Option<String>)>) -> Offer {
        entries.retain(|(entry, _)| {
            let revision = entry.revision.clone();
            self.offered.insert(entry.id.clone(), revision.clone()) != Some(revision)
        });
        Offer { entries, is_whole: false }
    }
}

impl Kind for Polled {
    fn is_endless(&self) -> bool {
        true
    }

    fn next(&mut self) -> NextOffer<'_> {
        Box::pin(self.next_offer())
    }
}

fn is_fatal(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Fetch { source, .. } if matches!(**source, fetch::Trouble::Fatal(_)))
}

/// An item whose text is on its page.
fn by_page(item: Item, source: &Feed) -> (Entry, Option<String>) {
    let is_web = |link: &Url| matches!(link.scheme(), "http" | "https");
    let link = item.link.filter(is_web);
    let trouble = link.is_none().then(|| "the item has no link to a page of the web".to_owned());
    let entry = Entry {
        id: item.id,
        revision: item.changed,
        url: link.map(String::from).unwrap_or_default(),
        title: item.title,
        credit: item.credit,
        orthography: source.orthography.clone(),
        ..Entry::default()
    };
    (entry, trouble)
}

/// An item as a line of the spool.
fn line(item: &Item) -> Vec<u8> {
    let Item { id, title, credit, content, .. } = item;
    json!({ "id": id, "title": title, "credit": credit, "text": content }).to_string().into()
}

/// The items of the spool.
fn spooled(spool: &Spool, orthography: &str) -> Result<Vec<(Entry, Option<String>)>, Trouble> {
    let name = str::to_owned;
    let columns =
        Columns { text: name("text"), id: name("id"), title: name("title"), limit: u64::MAX };
    let mut entries: Vec<(Entry, Option<String>)> = Vec::new();
    spool.each(|_, bytes, line| {
        // We wrote it; if somebody else has written there too, that is no item.
        let Ok(fields) = text_of(line, &columns) else { return };
        let record = record_of(bytes, "text", &fields.text);
        let credit = serde_json::from_slice::<serde_json::Value>(line).ok();
        let credit = credit.and_then(|line| Some(line["credit"].as_str()?.to_owned()));
        let entry = Entry {
            id: fields.id.unwrap_or_else(|| record.hash.clone()),
            revision: record.hash.clone(),
            title: fields.title.unwrap_or_default(),
            credit: credit.unwrap_or_default(),
            orthography: orthography.to_owned(),
            url: spool.url(record),
            ..Entry::default()
        };
        entries.push((entry, None));
    })?;
    // Of an item that was revised, only the last version: an older one would look like another
    // revision to a run that has had the newer.
    let mut newer = HashSet::new();
    let mut last: Vec<_> = entries.into_iter().rev().collect();
    last.retain(|(entry, _)| newer.insert(entry.id.clone()));
    last.reverse();
    Ok(last)
}
