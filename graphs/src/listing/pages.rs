//! Pages of the web: those that are listed, then those of the sitemap, then those that links lead to.
//!
//! Pages that are listed are offered without a look at them; a sitemap's are revised when it says so.
//! Where links are followed, every page is fetched to be listed (the river reads it again from the kept
//! pages), and its content is its revision. Pages come breadth first, in the order in which they stand
//! on the pages before, whatever the order in which answers come; links stay on the site of the page
//! that the walk began with. Each batch is offered as soon as it is known, so that training need not
//! wait for the walk's end.

use std::{
    collections::{HashSet, VecDeque},
    fs,
};

use operators::{
    catalogue::{
        links::Links,
        sitemap::{self, Place, Sitemap},
    },
    fetch::{self, Fetched, Origin, Url},
    record::Entry,
};
use tokio::task::JoinSet;

use super::{
    Trouble,
    kind::{Kind, NextOffer, Offer, Reach},
};
use crate::job::Pages;

/// How deep indexes of sitemaps may lie in each other.
const INDEXES: usize = 3;
/// Pages that are fetched for one offer.
const BATCH: usize = 16;

/// Pages of the web.
pub(super) struct PageList {
    source: Pages,
    reach: Reach,
    // None until the first offer is asked for.
    walk: Option<Walk>,
}

/// Pages that are known and not offered yet.
struct Walk {
    queue: VecDeque<Step>,
    // Every address that was ever in the queue.
    seen: HashSet<Url>,
    // Pages that may yet be put into the queue.
    left: usize,
}

struct Step {
    url: Url,
    revision: String,
    // The site on which the walk to this page began.
    site: Origin,
    // Links from there to here.
    depth: u32,
}

impl Walk {
    fn push(&mut self, step: Step) {
        if self.left > 0 && self.seen.insert(step.url.clone()) {
            self.left -= 1;
            self.queue.push_back(step);
        }
    }
}

impl PageList {
    pub fn new(source: Pages, reach: &Reach) -> Self {
        Self { source, reach: reach.clone(), walk: None }
    }

    async fn next_offer(&mut self) -> Result<Option<Offer>, Trouble> {
        let follows = !self.source.follow.is_empty() && self.source.depth > 0;
        let walk = match &mut self.walk {
            Some(walk) if walk.queue.is_empty() => return Ok(None),
            Some(walk) => walk,
            None => {
                let (walk, unusable) = begin(&self.source, &self.reach).await?;
                if !follows {
                    let is_whole = self.source.limit.is_none();
                    let usable = walk.queue.into_iter().map(|step| (self.entry(step), None));
                    let entries = usable.chain(unusable).collect();
                    self.walk =
                        Some(Walk { queue: VecDeque::new(), seen: HashSet::new(), left: 0 });
                    return Ok(Some(Offer { entries, is_whole }));
                }
                let walk = self.walk.insert(walk);
                if !unusable.is_empty() {
                    return Ok(Some(Offer { entries: unusable, is_whole: false }));
                }
                walk
            }
        };
        let links = Links::new(&self.source.follow)?;
        let batch: Vec<Step> = walk.queue.drain(..walk.queue.len().min(BATCH)).collect();
        let fetched = fetch_all(&batch, &self.reach).await?;
        let mut entries = Vec::new();
        for (mut step, fetched) in batch.into_iter().zip(fetched) {
            // One that cannot be had is offered all the same: fetch will say why, as for any page.
            if let Some(page) = fetched {
                if step.depth < self.source.depth {
                    let found = links.of(&page.body, page.charset.as_deref(), &page.address);
                    for url in found.into_iter().filter(|url| url.origin() == step.site) {
                        let (site, depth) = (step.site.clone(), step.depth + 1);
                        walk.push(Step { url, revision: String::new(), site, depth });
                    }
                }
                step.revision =
                    page.content()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            }
            entries.push(step);
        }
        let entries = entries.into_iter().map(|step| (self.entry(step), None)).collect();
        Ok(Some(Offer { entries, is_whole: false }))
    }

    fn entry(&self, step: Step) -> Entry {
        Entry {
            id: step.url.to_string(),
            title: step.url.to_string(),
            url: step.url.into(),
            revision: step.revision,
            orthography: self.source.orthography.clone(),
            ..Entry::default()
        }
    }
}

impl Kind for PageList {
    fn next(&mut self) -> NextOffer<'_> {
        Box::pin(self.next_offer())
    }
}

/// The pages, in the order of `batch`; none for one that cannot be had.
async fn fetch_all(batch: &[Step], reach: &Reach) -> Result<Vec<Option<Fetched>>, Trouble> {
    let mut under_way = JoinSet::new();
    for (at, step) in batch.iter().enumerate() {
        let (client, url) = (reach.client.clone(), step.url.clone());
        under_way.spawn(async move {
            let fetched = client.get(&url).await;
            (at, url, fetched)
        });
    }
    let mut pages = vec![None; batch.len()];
    while let Some(joined) = under_way.join_next().await {
        let joined = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        match joined {
            (at, _, Ok(page)) => pages[at] = Some(page),
            (_, _, Err(fetch::Trouble::Refused(_))) => {}
            (_, url, Err(fault)) => return Err(Trouble::Fetch { url, source: Box::new(fault) }),
        }
    }
    Ok(pages)
}

type Unusable = Vec<(Entry, Option<String>)>;

/// The pages that are named: in the job, in the list, in the sitemap; and what is none of the web.
async fn begin(source: &Pages, reach: &Reach) -> Result<(Walk, Unusable), Trouble> {
    let left = source.limit.unwrap_or(usize::MAX);
    let mut walk = Walk { queue: VecDeque::new(), seen: HashSet::new(), left };
    let mut unusable = Vec::new();
    let place = |address: &str| Place { address: address.to_owned(), changed: String::new() };
    let mut places: Vec<Place> = source.urls.iter().map(|url| place(url)).collect();
    if !source.list.as_os_str().is_empty() {
        let text = fs::read_to_string(&source.list)
            .map_err(|cause| Trouble::List { path: source.list.clone(), cause })?;
        let is_address = |line: &&str| !line.is_empty() && !line.starts_with('#');
        places.extend(text.lines().map(str::trim).filter(is_address).map(place));
    }
    if !source.sitemap.is_empty() {
        let address = source.sitemap.parse().expect("checked with the job");
        places.extend(from_sitemap(address, reach, left).await?);
    }
    for Place { address, changed } in places {
        match address.parse::<Url>() {
            Ok(mut url) if matches!(url.scheme(), "http" | "https") => {
                url.set_fragment(None);
                let site = url.origin();
                walk.push(Step { url, revision: changed, site, depth: 0 });
            }
            _ => {
                let reason = "it is no address that begins with http:// or https://".to_owned();
                let revision = format!("unusable: {reason}");
                let entry =
                    Entry { id: address.clone(), title: address, revision, ..Entry::default() };
                unusable.push((entry, Some(reason)));
            }
        }
    }
    Ok((walk, unusable))
}

/// The pages in a sitemap, those of an index in its order. Sitemaps lie on the site that names them.
async fn from_sitemap(address: Url, reach: &Reach, limit: usize) -> Result<Vec<Place>, Trouble> {
    let site = address.origin();
    let mut pages = Vec::new();
    // Depth first, because an index stands for what is in its sitemaps.
    let mut stack = vec![(address, 0)];
    while let Some((url, depth)) = stack.pop() {
        if pages.len() >= limit {
            break;
        }
        let fetched = reach.client.poll(&url).await;
        let fetched = fetched
            .map_err(|source| Trouble::Fetch { url: url.clone(), source: Box::new(source) })?;
        let read = sitemap::read(&fetched.body, reach.client.body_limit());
        match read.map_err(|cause| Trouble::Sitemap { url: url.clone(), cause: Box::new(cause) })? {
            Sitemap::Pages(places) => pages.extend(places),
            Sitemap::Index(places) if depth < INDEXES => {
                let urls = places
                    .into_iter()
                    .filter_map(|place| fetched.address.join(&place.address).ok());
                let urls: Vec<Url> = urls.filter(|url| url.origin() == site).collect();
                stack.extend(urls.into_iter().rev().map(|url| (url, depth + 1)));
            }
            Sitemap::Index(_) => {}
        }
    }
    Ok(pages)
}
