//! A site, and the turns that requests to it take.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};
use url::{Host as Name, Url};

use super::{pace::Pace, robots::Rules};

/// No pause that a server asks for holds the job longer: beyond that it is not busy, but broken.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A site: what shares a scheme, a host and a port.
#[derive(Debug)]
pub struct Host {
    /// Its scheme, host and port, as in `https://example.org`.
    pub site: String,
    /// Whether it is this very machine.
    pub loopback: bool,
    /// What it lets us read, once it was asked. Whoever asks holds the lock until the answer is
    /// there, so that it is asked once.
    pub rules: tokio::sync::Mutex<Known>,
    pace: Mutex<Pace>,
    // Requests that may yet be under way at once to it.
    slots: Semaphore,
    // Held by the one who starts next, so that turns are taken in order.
    turn: tokio::sync::Mutex<()>,
}

/// What is known of a site's rules.
#[derive(Debug, Default)]
pub enum Known {
    /// Nobody has asked.
    #[default]
    Nothing,
    /// The rules, and when they were read.
    Rules(Rules, Instant),
    /// They could not be had then, for this reason.
    Failed(String, Instant),
}

/// The right to send one request now.
pub struct Turn<'a> {
    _slot: SemaphorePermit<'a>,
    _request: SemaphorePermit<'a>,
}

impl Host {
    /// The site that `url` is of.
    pub fn new(url: &Url, per_host: usize, delay: impl FnOnce(bool) -> Duration) -> Self {
        let loopback = is_loopback(url);
        Self {
            site: site(url),
            loopback,
            rules: tokio::sync::Mutex::default(),
            pace: Mutex::new(Pace::new(delay(loopback))),
            slots: Semaphore::new(per_host),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits for a turn at this site, then for a request of the whole job.
    pub async fn turn<'a>(&'a self, requests: &'a Semaphore) -> Turn<'a> {
        let open = "the semaphores are never closed";
        let slot = self.slots.acquire().await.expect(open);
        let _next = self.turn.lock().await;
        loop {
            let ready = self.pace().ready_at();
            if let Some(ready) = ready {
                tokio::time::sleep_until(ready.into()).await;
            }
            // Only now: what waits for its site must not keep the others' requests from starting.
            let request = requests.acquire().await.expect(open);
            if self.pace().start(Instant::now()).is_ok() {
                return Turn { _slot: slot, _request: request };
            }
            // The site asked for a pause meanwhile.
        }
    }

    /// Starts no request for a while.
    pub fn pause(&self, wait: Duration) {
        self.pace().pause(Instant::now() + wait.min(LONGEST_PAUSE));
    }

    /// Keeps another distance between requests from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.pace().set_delay(delay);
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scheme, host and port of `url`.
pub fn site(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Name::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Name::Ipv4(address)) => address.is_loopback(),
        Some(Name::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        let loopback = |url| is_loopback(&Url::parse(url).expect("an address"));
        for url in
            ["http://127.0.0.1:8000/", "http://[::1]/", "https://localhost/", "http://a.localhost/"]
        {
            assert!(loopback(url), "{url}");
        }
        for url in ["http://example.org/", "http://localhost.example.org/", "http://10.0.0.1/"] {
            assert!(!loopback(url), "{url}");
        }
    }

    #[test]
    fn a_site_is_a_scheme_a_host_and_a_port() {
        let site = |url| site(&Url::parse(url).expect("an address"));
        assert_eq!(site("https://Example.org:443/cards/1?x#y"), "https://example.org");
        assert_eq!(site("http://user:word@example.org:8080/"), "http://example.org:8080");
    }
}
