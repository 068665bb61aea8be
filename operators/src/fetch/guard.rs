//! Keeps requests away from networks that are not the public web.
//!
//! An address that a page names may lead anywhere: to the machine itself, to a router, to a cloud's
//! metadata. So where nobody has allowed it, an address in numbers is looked at before the request,
//! and the addresses that a name stands for are looked at when the connection is made: what was
//! looked at is what is connected to, and a name that changes its mind in between gains nothing.
//! Behind a proxy it is the proxy that looks names up, and that must know where it leads.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// A name that stands for no public address.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is an address of a private network")]
pub struct Private(pub String);

/// Whether anybody on the web may be meant by this address.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

// The registries of special addresses (RFC 6890 and its successors).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || matches!(
            (a, b, c),
            (0 | 224.., _, _) | (100, 64..=127, _) | (192, 0, 0) | (198, 18 | 19, _)
        );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // A gateway turns these into the address of version 4 that is in them.
        (0x0064, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && embedded(g, h),
        (0x2002, _) => embedded(b, c),
        (0, 0) if (c, d, e, f) == (0, 0, 0, 0xffff) => embedded(g, h),
        // Teredo, documentation, and what else is set apart under 2001::/23.
        (0x2001, 0x0000..=0x01ff | 0x0db8) | (0x3fff, 0x0000..=0x0fff) => false,
        // Only 2000::/3 is given out to the public.
        _ => a & 0xe000 == 0x2000,
    }
}

/// Whether the address names, in numbers, a host that is not public.
pub fn is_private_literal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !is_public_v4(address),
        Some(Host::Ipv6(address)) => !is_public_v6(address),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

/// Looks names up, and knows only public addresses.
#[derive(Debug, Default)]
pub struct Guarded {
    // Names of the proxies that the system is set to use: that they are set is leave to use them.
    proxies: HashSet<String>,
}

impl Guarded {
    /// With leave to connect to the proxies that the environment names.
    pub fn from_environment() -> Self {
        let names =
            ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
        let set = names.into_iter().filter_map(|name| std::env::var(name).ok());
        let host = |address: String| {
            let url = Url::parse(&address).or_else(|_| Url::parse(&format!("http://{address}")));
            url.ok()?.host_str().map(str::to_owned)
        };
        Self { proxies: set.filter_map(host).collect() }
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.proxies.contains(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut found: Vec<SocketAddr> = found.collect();
            let known = !found.is_empty();
            found.retain(|address| is_proxy || is_public(address.ip()));
            if known && found.is_empty() {
                return Err(Private(name.as_str().to_owned()).into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_web_is_public() {
        let public = |address: &str| is_public(address.parse().expect("an address"));
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "192.0.2.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!public(address), "{address}");
        }
        for address in [
            "8.8.8.8",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(public(address), "{address}");
        }
    }

    #[test]
    fn an_address_in_numbers_is_known_however_it_is_written() {
        let private = |url: &str| is_private_literal(&Url::parse(url).expect("an address"));
        // The URL standard reads all of these as 127.0.0.1.
        for url in ["http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://[::1]/"] {
            assert!(private(url), "{url}");
        }
        assert!(private("http://LOCALHOST./") && private("http://a.localhost/"));
        assert!(!private("http://example.org/") && !private("http://8.8.8.8/"));
    }

    #[tokio::test]
    async fn a_name_that_stands_for_this_machine_is_not_known() {
        let resolve = |guarded: Guarded| guarded.resolve("localhost".parse().expect("a name"));
        let error = resolve(Guarded::default()).await.err().expect("it is private");
        assert_eq!(error.to_string(), "`localhost` is an address of a private network");
        let proxies = ["localhost".to_owned()].into();
        assert!(resolve(Guarded { proxies }).await.is_ok());
    }
}
