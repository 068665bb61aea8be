//! Which process asks which site, where a job has several processes.
//!
//! A site is asked by one process only, so that its pace, its robots.txt and the limit on requests
//! hold as they do in one process: by the owner's if that has asked it (for an index, a sitemap, a
//! feed, or links to follow), else by the one that its name falls to. That is settled with the first
//! entry of the site, for the life of the process. What only the owner can reach is fetched there:
//! files, and loopback addresses unless all processes are on one machine.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use url::{Host, Url};

/// The owner's process.
const OWNERS: u64 = 0;

/// Who asks which site. Clones share what was settled.
#[derive(Clone, Default)]
pub struct Sites {
    // None in a job of one process.
    shared: Option<Arc<Shared>>,
}

struct Shared {
    processes: u64,
    // Workers of each process.
    workers: u64,
    // Whether all processes are on one machine.
    is_one_machine: bool,
    // Whether the owner's process has asked the site of an address.
    owner_asks: Box<dyn Fn(&Url) -> bool + Send + Sync>,
    // By site: the process that asks it.
    settled: Mutex<HashMap<String, u64>>,
}

impl Sites {
    /// Sites for so many processes of so many workers each. `owner_asks` tells whether the owner's
    /// process has asked the site of an address already.
    pub fn among(
        processes: usize,
        workers: usize,
        is_one_machine: bool,
        owner_asks: impl Fn(&Url) -> bool + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            processes: processes as u64,
            workers: workers.max(1) as u64,
            is_one_machine,
            owner_asks: Box::new(owner_asks),
            settled: Mutex::default(),
        };
        Self { shared: (processes > 1).then(|| Arc::new(shared)) }
    }

    /// The worker that fetches what is at `address`, which the worker `reads` is to read.
    pub fn fetcher(&self, address: &str, reads: u64) -> u64 {
        let Some(shared) = &self.shared else { return reads };
        // An address that is none is refused wherever it comes to.
        let Ok(url) = address.parse::<Url>() else { return reads };
        shared.process(&url) * shared.workers + reads % shared.workers
    }
}

impl Shared {
    fn process(&self, url: &Url) -> u64 {
        if !matches!(url.scheme(), "http" | "https") || (is_loopback(url) && !self.is_one_machine) {
            return OWNERS;
        }
        let site = url.origin().ascii_serialization();
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = settled.get(&site) {
            return *process;
        }
        let process = match (self.owner_asks)(url) {
            true => OWNERS,
            false => falls_to(&site, self.processes),
        };
        settled.insert(site, process);
        process
    }
}

/// The process that a site's name falls to: FNV-1a, the same on every machine.
fn falls_to(site: &str, processes: u64) -> u64 {
    let hash = site.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash % processes
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn among(processes: usize, is_one_machine: bool) -> Sites {
        Sites::among(processes, 2, is_one_machine, |url| url.host_str() == Some("listed.example"))
    }

    #[test]
    fn alone_whoever_reads_a_page_fetches_it() {
        let sites = among(1, true);
        assert_eq!(sites.fetcher("https://example.org/", 5), 5);
    }

    #[test]
    fn a_site_is_asked_by_one_process_whichever_worker_reads_its_pages() {
        let sites = among(3, false);
        let mut asked_by = [0; 3];
        for number in 0..90 {
            let process = |path: &str, reads| {
                let address = format!("https://s{number}.example{path}");
                let fetcher = sites.fetcher(&address, reads);
                assert_eq!(fetcher % 2, reads % 2, "spread over the process's own workers");
                fetcher / 2
            };
            let first = process("/", 0);
            assert!((1..6).all(|reads| process(&format!("/{reads}"), reads) == first));
            asked_by[first as usize] += 1;
        }
        assert!(asked_by.iter().all(|count| *count > 15), "{asked_by:?}");
    }

    #[test]
    fn what_only_the_owner_can_reach_or_asks_itself_is_fetched_by_the_owners_process() {
        for address in
            ["file:///a.txt", "https://listed.example/3", "http://[::1]:1/", "http://localhost/"]
        {
            assert_eq!(among(9, false).fetcher(address, 5), 1, "{address}");
        }
        // On one machine everybody reaches a loopback address: of many ports some fall elsewhere.
        let elsewhere = |sites: Sites| {
            let addresses = (1..50).map(|port| format!("http://127.0.0.1:{port}/"));
            addresses.filter(|address| sites.fetcher(address, 0) > 1).count()
        };
        assert_eq!(elsewhere(among(3, false)), 0);
        assert!(elsewhere(among(3, true)) > 10);
        assert_eq!(
            among(3, true).fetcher("file:///a.txt", 0),
            0,
            "files are the owner's all the same"
        );
    }

    #[test]
    fn what_was_settled_stays_when_the_owner_asks_a_site_later() {
        let asks = Arc::new(AtomicBool::new(false));
        let owner = Arc::clone(&asks);
        let sites = Sites::among(64, 1, false, move |_| owner.load(Ordering::Relaxed));
        let before = sites.fetcher("https://example.org/a", 0);
        assert_ne!(before, 0);
        asks.store(true, Ordering::Relaxed);
        assert_eq!(sites.fetcher("https://example.org/b", 0), before);
        assert_eq!(sites.fetcher("https://example.com/", 0), 0);
    }
}
