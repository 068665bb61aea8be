//! What can go wrong with a fetch, in its three kinds.
//!
//! A [`Failure`] is one try that may go better next time, and is seen only inside `fetch`; a
//! [`Refusal`] is final, and is data; a [`Fault`] stops the job.

use std::{fmt, io, path::PathBuf, sync::Arc};

/// Why a fetch brought nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Trouble {
    /// The page cannot be had: the reason goes to the dead letters, and the job goes on.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The job cannot go on.
    #[error(transparent)]
    Fatal(#[from] Fault),
}

/// Why a page cannot be had. Its message is the reject's reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The entry's address is not one.
    #[error("`{address}` is not an address: {cause}")]
    NotAnAddress {
        /// What the entry has.
        address: String,
        /// What the parser says.
        cause: url::ParseError,
    },
    /// The address is of a kind that is not fetched.
    #[error("addresses of the kind `{0}:` are not fetched; `http:`, `https:` and `file:` are")]
    Scheme(String),
    /// The server's final word.
    #[error("status {0}")]
    Status(u16),
    /// Every try failed until there were enough of them, or no time was left for another.
    #[error("gave up after {tries} {}: {last}", if *tries == 1 { "try" } else { "tries" })]
    GaveUp {
        /// How many tries there were.
        tries: u32,
        /// What became of the last.
        last: Failure,
    },
    /// The site does not want this page fetched by programs.
    #[error("robots.txt of {0} forbids it")]
    Robots(String),
    /// Nobody knows what the site wants; RFC 9309 says to stay away then.
    #[error("robots.txt of {site} could not be read, so nothing may be fetched there: {cause}")]
    RobotsUnknown {
        /// The site's scheme, host and port.
        site: String,
        /// Why it could not be read.
        cause: String,
    },
    /// The body is too large, once decompressed.
    #[error("the body is larger than {0} bytes, the `body_limit`")]
    TooLarge(u64),
    /// The server sends us from place to place.
    #[error("more than {0} redirects")]
    TooManyRedirects(usize),
    /// The server sends us to a place that is not on the web.
    #[error("redirected to `{0}`, which is not an `http:` or `https:` address")]
    RedirectForbidden(String),
    /// The address leads to this machine or into a private network.
    #[error(
        "{0} is not on the public web, and is asked for only where the job allows it \
         (`allow_private`)"
    )]
    Private(String),
    /// A local file cannot be read.
    #[error("could not read `{}`: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
}

/// What stops the job.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault {
    /// The cache cannot be read or written: without it every later run would ask for everything.
    #[error(
        "could not {action} `{}` in the cache: {source}; make room or set another `cache_dir`",
        path.display()
    )]
    Cache {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// No certificate authority is known, so that no `https:` address can be trusted.
    #[error(
        "could not find the system's certificate authorities, without which no `https:` address \
         can be fetched: {0}; install the package `ca-certificates` or name a file in SSL_CERT_FILE"
    )]
    NoAuthorities(String),
    /// The runtime that fetches was shut down, or a fetch panicked.
    #[error("a fetch ended without an answer: its runtime was shut down, or it panicked")]
    Abandoned,
}

/// What became of one try that may go better next time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server says that it cannot answer now.
    Status(u16),
    /// There is no connection: no such host, refused, no handshake.
    Unreachable(String),
    /// No whole answer came in time.
    Timeout,
    /// The connection ended before an answer began.
    Broken(String),
    /// The body ended before its end.
    Cut(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Unreachable(cause) => write!(f, "could not connect: {cause}"),
            Self::Timeout => f.write_str("no whole answer came in time"),
            Self::Broken(cause) => write!(f, "the connection ended without an answer: {cause}"),
            Self::Cut(cause) => write!(f, "the body was cut off in the middle: {cause}"),
        }
    }
}
