//! Whom the client may ask: the public web, and what the job itself names.

use std::sync::PoisonError;

use url::Url;

use super::{
    client::{Client, Inner},
    guard::is_private_literal,
    host::site,
    trouble::Refusal,
};

impl Client {
    /// Lets the site of `url` (its scheme, host and port) be asked, be it in a private network:
    /// for what the job itself names.
    pub fn permit(&self, url: &Url) {
        self.permit_site(site(url));
    }

    /// The same for a site that is known by its name.
    pub fn permit_site(&self, site: String) {
        let mut permitted = self.inner.permitted.write().unwrap_or_else(PoisonError::into_inner);
        permitted.insert(site);
    }

    /// The sites that were permitted, to be permitted in another process too.
    pub fn permitted(&self) -> Vec<String> {
        let permitted = self.inner.permitted.read().unwrap_or_else(PoisonError::into_inner);
        permitted.iter().cloned().collect()
    }

    /// Whether the site of `url` was asked for anything.
    pub fn has_asked(&self, url: &Url) -> bool {
        let hosts = self.inner.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.contains_key(&site(url))
    }
}

impl Inner {
    /// What may connect to the site of `url`. Asked at every hop, so that no redirect leads where
    /// the address itself must not.
    pub(super) fn reach(&self, url: &Url) -> Result<&reqwest::Client, Refusal> {
        let permitted = || self.permitted.read().unwrap_or_else(PoisonError::into_inner);
        if self.policy.allow_private || permitted().contains(&site(url)) {
            Ok(&self.open)
        } else if is_private_literal(url) {
            Err(Refusal::Private(site(url)))
        } else {
            Ok(&self.guarded)
        }
    }
}
