//! The client: from an address to a page, politely and for as long as it makes sense.
//!
//! A page comes out whole, or a [`Refusal`] that is final, or a [`Fault`] that stops the job;
//! everything transient is tried again in here. No request is sent out of turn (see `host`), or
//! against a site's robots.txt, the hops of redirects included.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use tokio::sync::Semaphore;
use url::Url;

use super::{
    cache::{Cache, Kept, digest, hexadecimal},
    connect::{Connections, connect},
    count::{Counters, Tally, count},
    exchange::{Answer, Limit, Miss, Received, exchange},
    host::{Host, Known, site},
    local, pace,
    retry::Effort,
    robots::{self, Rules},
    settings::{ClientError, Policy, Revalidate, Settings},
    trouble::{Failure, Fault, Refusal, Trouble},
};
use crate::container::Unpacked;

/// A page that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The address that answered, after redirects.
    pub address: Url,
    /// The body, decompressed.
    pub body: Bytes,
    /// SHA-256 of the body, where whoever fetched it had to know it.
    pub digest: Option<[u8; 32]>,
    /// The media type that the server declared, without parameters, in lower case, or empty.
    pub media: String,
    /// The charset that the server declared, in lower case.
    pub charset: Option<String>,
    /// Whether the body is the one that was kept, unchanged on the server or not asked for.
    pub from_cache: bool,
}

impl Fetched {
    /// SHA-256 of the body.
    pub fn content(&self) -> [u8; 32] {
        self.digest.unwrap_or_else(|| digest(&self.body))
    }
}

/// Fetches pages. Clones share the limits, the cache and the counters: one job, one client.
///
/// Its connections live on the tokio runtime that it is used on, so use it on one only.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) policy: Policy,
    // Connects to the public web only.
    pub(super) guarded: reqwest::Client,
    // Connects to whatever it is told to.
    pub(super) open: reqwest::Client,
    // Sites that may be asked wherever they are.
    pub(super) permitted: RwLock<HashSet<String>>,
    // Why no `https:` address can be trusted, if none can.
    no_authorities: Option<String>,
    // Requests that may yet be under way at once, over all workers.
    requests: Semaphore,
    // Every site that was asked, for good: a job asks a handful.
    pub(super) hosts: Mutex<HashMap<String, Arc<Host>>>,
    cache: Option<Cache>,
    pub(super) unpacked: Unpacked,
    tally: Arc<Tally>,
}

impl Client {
    /// A client with these settings; opens the cache.
    ///
    /// # Errors
    /// For settings that mean nothing, and for a cache that cannot be written.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        let policy = settings.resolve()?;
        let cache = settings.cache_dir.as_deref().map(|folder| {
            Cache::open(folder)
                .map_err(|source| ClientError::Cache { folder: folder.to_owned(), source })
        });
        let unpacked = settings.cache_dir.as_deref().map(|folder| folder.join("unpacked"));
        let Connections { guarded, open, no_authorities } = connect(&policy)?;
        let inner = Inner {
            guarded,
            open,
            permitted: RwLock::default(),
            no_authorities,
            requests: Semaphore::new(policy.in_flight),
            hosts: Mutex::default(),
            cache: cache.transpose()?,
            unpacked: Unpacked::new(unpacked),
            tally: Arc::default(),
            policy,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Fetches the page at `url`: over the web, or from the disk for `file:`.
    ///
    /// # Errors
    /// [`Trouble::Refused`] if the page cannot be had, [`Trouble::Fatal`] if the job must stop.
    pub async fn get(&self, url: &Url) -> Result<Fetched, Trouble> {
        let limit = self.inner.policy.body_limit;
        match url.scheme() {
            "http" | "https" => self.inner.visit(url, self.inner.policy.revalidate).await,
            "file" => Ok(blocking({
                let url = url.clone();
                let unpacked = self.inner.unpacked.clone();
                move || local::read(&url, limit, &unpacked)
            })
            .await??),
            scheme => Err(Refusal::Scheme(scheme.to_owned()).into()),
        }
    }

    /// Fetches what changes by its nature, such as a feed: the server is asked whether it has
    /// changed, even where kept pages are used as they are.
    ///
    /// # Errors
    /// As [`Client::get`]; only addresses of the web are fetched.
    pub async fn poll(&self, url: &Url) -> Result<Fetched, Trouble> {
        match url.scheme() {
            "http" | "https" => self.inner.visit(url, Revalidate::Always).await,
            scheme => Err(Refusal::Scheme(scheme.to_owned()).into()),
        }
    }

    /// Fetches the page at an entry's address, which need not be one.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_address(&self, address: &str) -> Result<Fetched, Trouble> {
        let url = Url::parse(address)
            .map_err(|cause| Refusal::NotAnAddress { address: address.to_owned(), cause })?;
        let fetched = self.get(&url).await?;
        count(&self.inner.tally.fetched, 1);
        Ok(fetched)
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.inner.tally.read()
    }

    /// How many requests may be under way at once.
    pub fn in_flight_limit(&self) -> usize {
        self.inner.policy.in_flight
    }
}

/// Runs what blocks on a thread that may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Fault::Abandoned)
}

impl Inner {
    async fn visit(&self, url: &Url, revalidate: Revalidate) -> Result<Fetched, Trouble> {
        let mut url = url.clone();
        url.set_fragment(None);
        let Some(cache) = &self.cache else {
            let (from, page) = self.anew(&url, Asks::Page { known: None }).await?;
            return Ok(fetched(from, page));
        };
        let found = blocking({
            let (cache, url) = (cache.clone(), url.clone());
            move || cache.find(&url)
        });
        if let Some(kept) = found.await?? {
            let page = match revalidate {
                Revalidate::Never => None,
                Revalidate::Always => self.persist(&url, Asks::Page { known: Some(&kept) }).await?,
            };
            if let Some((from, page)) = page {
                return self.keep(cache, &url, &from, page).await;
            }
            if let Some(fetched) = self.serve(cache, kept).await? {
                return Ok(fetched);
            }
            // The body is damaged: ask as if nothing were known.
        }
        let (from, page) = self.anew(&url, Asks::Page { known: None }).await?;
        self.keep(cache, &url, &from, page).await
    }

    /// The kept page, if its body is sound.
    async fn serve(&self, cache: &Cache, kept: Kept) -> Result<Option<Fetched>, Fault> {
        let cache = cache.clone();
        let (body, kept) = blocking(move || (cache.body(&kept), kept)).await?;
        let Some((content, body)) = body? else { return Ok(None) };
        count(&self.tally.from_cache, 1);
        let Kept { media, charset, final_url, .. } = kept;
        let Ok(address) = final_url.parse() else { return Ok(None) };
        let digest = Some(content);
        Ok(Some(Fetched { address, body, digest, media, charset, from_cache: true }))
    }

    /// Keeps a page that was received.
    async fn keep(
        &self,
        cache: &Cache,
        url: &Url,
        from: &Url,
        page: Received,
    ) -> Result<Fetched, Trouble> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let kept = Kept {
            url: url.to_string(),
            final_url: from.to_string(),
            content: hexadecimal(&page.content),
            etag: page.etag.clone(),
            last_modified: page.last_modified.clone(),
            media: page.media.clone(),
            charset: page.charset.clone(),
            fetched: now.as_secs(),
        };
        let (cache, body) = (cache.clone(), page.body.clone());
        blocking(move || cache.keep(&kept, &body)).await??;
        Ok(fetched(from.clone(), page))
    }

    /// Tries for something of which nothing is known.
    async fn anew(&self, url: &Url, asks: Asks<'_>) -> Result<(Url, Received), Trouble> {
        // Without a condition there is nothing that could be unchanged.
        self.persist(url, asks).await?.ok_or_else(|| Refusal::Status(304).into())
    }

    /// Tries until there is an answer or no patience left. `None`: what is known is unchanged.
    async fn persist(&self, url: &Url, asks: Asks<'_>) -> Result<Option<(Url, Received)>, Trouble> {
        let mut effort = Effort::new(self.policy.patience);
        loop {
            let (failure, asked_for) = match self.follow(url, asks, &mut effort).await {
                Ok(answer) => return Ok(answer),
                Err(Miss::Done(trouble)) => return Err(trouble),
                Err(Miss::Again(failure, asked_for)) => (failure, asked_for),
            };
            let wait = effort.fail(failure, asked_for, rand::random())?;
            tokio::time::sleep(wait).await;
            count(&self.tally.retries, 1);
        }
    }

    /// One try, through all its redirects.
    async fn follow(
        &self,
        url: &Url,
        asks: Asks<'_>,
        effort: &mut Effort,
    ) -> Result<Option<(Url, Received)>, Miss> {
        let mut at = url.clone();
        for _ in 0..=self.policy.redirects {
            match self.ask(&at, asks, effort).await? {
                Answer::Page(page) => return Ok(Some((at, page))),
                Answer::NotModified => return Ok(None),
                Answer::Elsewhere(place) => at = next(&at, &place)?,
            }
        }
        Err(Refusal::TooManyRedirects(self.policy.redirects).into())
    }

    /// One request, in its turn.
    async fn ask(&self, url: &Url, asks: Asks<'_>, effort: &mut Effort) -> Result<Answer, Miss> {
        if let (Some(cause), "https") = (&self.no_authorities, url.scheme()) {
            return Err(Fault::NoAuthorities(cause.clone()).into());
        }
        let http = self.reach(url)?;
        let host = self.host(url);
        let (known, limit) = match asks {
            Asks::Page { known } => {
                if self.policy.respect_robots {
                    self.mind(&host, url).await?;
                }
                // Validators are the answering address's own: a redirect knows nothing of them.
                let known = known.filter(|known| known.final_url == url.as_str());
                (known, Limit::Refuse(self.policy.body_limit))
            }
            Asks::Robots => (None, Limit::Truncate(robots::READ)),
        };
        let _turn = host.turn(&self.requests).await;
        let _underway = self.tally.start();
        let began = Instant::now();
        let time = self.policy.timeout.min(effort.left());
        let exchanged = exchange(http, url, known, limit, &self.tally);
        let answer = tokio::time::timeout(time, exchanged).await;
        effort.spend(began.elapsed());
        let answer = answer.unwrap_or(Err(Miss::Again(Failure::Timeout, None)));
        match &answer {
            Err(Miss::Again(_, Some(wait))) => host.pause(*wait),
            Ok(Answer::NotModified) => count(&self.tally.not_modified, 1),
            _ => {}
        }
        answer
    }

    /// Whether the site lets us read this page; asks for its robots.txt first if need be.
    async fn mind(&self, host: &Host, url: &Url) -> Result<(), Trouble> {
        const DAY: Duration = Duration::from_secs(86_400);
        let asked = Instant::now();
        let mut known = host.rules.lock().await;
        let current = match &*known {
            Known::Nothing => false,
            Known::Rules(_, read) => read.elapsed() < DAY,
            // Those who waited share the failure; the next one tries again.
            Known::Failed(_, failed) => *failed >= asked,
        };
        if !current {
            *known = match self.read_rules(url).await? {
                Ok(rules) => {
                    let delay = pace::delay(self.policy.delay, host.loopback, rules.delay());
                    host.set_delay(delay);
                    Known::Rules(rules, Instant::now())
                }
                Err(cause) => Known::Failed(cause, Instant::now()),
            };
        }
        let site = || host.site.clone();
        match &*known {
            Known::Rules(rules, _) if rules.allow(url) => Ok(()),
            Known::Rules(..) => Err(Refusal::Robots(site()).into()),
            Known::Failed(cause, _) => {
                Err(Refusal::RobotsUnknown { site: site(), cause: cause.clone() }.into())
            }
            Known::Nothing => unreachable!("it was asked above"),
        }
    }

    async fn read_rules(&self, url: &Url) -> Result<Result<Rules, String>, Fault> {
        let place = url.join("/robots.txt").expect("web addresses have a root");
        // Boxed, because it is a fetch within a fetch.
        match Box::pin(self.anew(&place, Asks::Robots)).await {
            Ok((_, page)) => Ok(Rules::read(&self.policy.robots_name, &page.body)),
            Err(Trouble::Refused(refusal)) => Ok(Rules::without(&refusal)),
            Err(Trouble::Fatal(fault)) => Err(fault),
        }
    }

    fn host(&self, url: &Url) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let Policy { per_host, delay, .. } = self.policy;
        let host = hosts.entry(site(url)).or_insert_with(|| {
            Arc::new(Host::new(url, per_host, |loopback| pace::delay(delay, loopback, None)))
        });
        Arc::clone(host)
    }
}

/// What a request is for.
#[derive(Clone, Copy)]
enum Asks<'a> {
    /// A page, of which this much is known.
    Page { known: Option<&'a Kept> },
    /// A site's rules, which no rules forbid reading.
    Robots,
}

fn fetched(address: Url, page: Received) -> Fetched {
    let Received { body, content, media, charset, .. } = page;
    let digest = Some(content);
    Fetched { address, body, digest, media, charset, from_cache: false }
}

/// Where a redirect from `at` leads.
fn next(at: &Url, place: &str) -> Result<Url, Refusal> {
    let forbidden = || Refusal::RedirectForbidden(place.to_owned());
    let mut next = at.join(place).map_err(|_| forbidden())?;
    next.set_fragment(None);
    if matches!(next.scheme(), "http" | "https") { Ok(next) } else { Err(forbidden()) }
}
