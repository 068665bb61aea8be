//! What a path does when it is asked for.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::Semaphore;

/// What a path does when it is asked for.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers with a page; with 304 where the request's condition says that it is known.
    Page(Page),
    /// Answers with a status and an empty body.
    Status(u16),
    /// Sends the client elsewhere: a path of this server, or a whole address.
    Redirect(String),
    /// Takes the request and never answers it.
    Hang,
    /// Closes the connection without a word.
    Close,
    /// Promises the page, sends only its first bytes, and closes the connection.
    Cut {
        /// The page that was promised.
        page: Page,
        /// How many bytes of its body are sent.
        after: usize,
        /// Whether it is sent in chunks, its length unsaid.
        chunked: bool,
    },
    /// Sends a body that never ends, in chunks.
    Endless,
    /// Behaves in one way the first few times, then in another.
    First {
        /// How many times.
        times: usize,
        /// What it does at first.
        now: Box<Behaviour>,
        /// What it does after that.
        then: Box<Behaviour>,
    },
    /// Waits until the gate is opened.
    Gated(Gate, Box<Behaviour>),
    /// Waits for a while, drawn anew for each request.
    Slow(Delay, Box<Behaviour>),
}

impl Behaviour {
    /// An HTML page without validators.
    pub fn page(body: impl Into<Bytes>) -> Self {
        Self::Page(Page::html(body))
    }

    /// Says when to come back, with the status 429 or 503; `after` is seconds or a date.
    pub fn retry_after(status: u16, after: impl Into<String>) -> Self {
        Self::Page(Page { status, ..Page::html("") }.header("Retry-After", after))
    }

    /// Does this only the first `times` times.
    pub fn times(self, times: usize) -> Times {
        Times { times, now: self }
    }

    /// Does this once the gate is open.
    pub fn behind(self, gate: &Gate) -> Self {
        Self::Gated(gate.clone(), Box::new(self))
    }

    /// Does this after a delay.
    pub fn slow(self, delay: Delay) -> Self {
        Self::Slow(delay, Box::new(self))
    }
}

/// A behaviour for the first few times.
#[derive(Clone, Debug)]
pub struct Times {
    times: usize,
    now: Behaviour,
}

impl Times {
    /// What comes after them.
    pub fn then(self, then: Behaviour) -> Behaviour {
        let Self { times, now } = self;
        Behaviour::First { times, now: Box::new(now), then: Box::new(then) }
    }
}

/// A page as it is sent.
#[derive(Clone, Debug)]
pub struct Page {
    /// The status; only 200 is ever turned into 304.
    pub status: u16,
    /// Header fields beside `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body, encoded already if a field says so.
    pub body: Bytes,
}

impl Page {
    /// An HTML page in UTF-8.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.into() }
            .header("Content-Type", "text/html; charset=utf-8")
    }

    /// With a header field, in place of one of the same name.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.retain(|(of, _)| !of.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(of, _)| of.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }
}

/// Holds answers back until a test opens it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Opens it for good.
    pub fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn pass(&self) {
        // Nothing is ever added to it, so what ends the wait is that it was closed.
        let _ = self.0.acquire().await;
    }
}

/// Delays that look random and are the same in every run.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// Another seed draws other delays.
    pub seed: u64,
    /// No delay is longer.
    pub up_to: Duration,
}

impl Delay {
    /// The delay of the request numbered `asked` for `path`, whatever other requests came between.
    pub fn of(&self, path: &str, asked: usize) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.seed, path, asked).hash(&mut hasher);
        self.up_to.mul_f64(hasher.finish() as f64 / u64::MAX as f64)
    }
}
