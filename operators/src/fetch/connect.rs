//! The HTTP library's clients: one that connects to the public web only, and one to anywhere.

use std::sync::Arc;

use super::{
    exchange::cause,
    guard::Guarded,
    settings::{ClientError, Policy},
};

/// What requests are sent through.
pub struct Connections {
    /// Connects to the public web only.
    pub guarded: reqwest::Client,
    /// Connects to whatever it is told to.
    pub open: reqwest::Client,
    /// Why no `https:` address can be trusted, if none can.
    pub no_authorities: Option<String>,
}

/// The clients for these settings.
pub fn connect(policy: &Policy) -> Result<Connections, ClientError> {
    let guarded = Arc::new(Guarded::from_environment());
    let (guarded, _) = build(policy, |builder| builder.dns_resolver(Arc::clone(&guarded)))?;
    let (open, no_authorities) = build(policy, |builder| builder)?;
    Ok(Connections { guarded, open, no_authorities })
}

/// The HTTP library's client, and why it can trust no `https:` address, if so.
fn build(
    policy: &Policy,
    with: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<(reqwest::Client, Option<String>), ClientError> {
    // Fails if a provider is installed already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = reqwest::Client::builder()
            .user_agent(&policy.user_agent)
            .connect_timeout(policy.connect_timeout)
            // Each hop needs its own turn, and its own site's leave: we follow them ourselves.
            .redirect(reqwest::redirect::Policy::none());
        with(builder)
    };
    match builder().build() {
        Ok(http) => Ok((http, None)),
        // A bare machine has no certificate authorities; jobs that need none should still run.
        Err(error) => {
            let none = rustls::ClientConfig::builder()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            let http = builder().tls_backend_preconfigured(none).build();
            let http = http.map_err(|error| ClientError::Http(cause(&error)))?;
            Ok((http, Some(cause(&error))))
        }
    }
}
