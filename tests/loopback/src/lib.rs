//! A web server for tests, on the loopback interface, that misbehaves as it is told.
//!
//! It answers each path with a [`Behaviour`], or with the files of a folder, and records every
//! request. It owns the thread that it runs on, so that tests need not be asynchronous, and stops
//! when it is dropped. It speaks plain HTTP/1.1 over sockets of its own, because the trouble that
//! is wanted here (a body cut off in the middle, an answer that never comes) is what a proper
//! server library keeps from happening.
//!
//! ```
//! use loopback::{Behaviour, Server};
//!
//! let server = Server::start([
//!     ("/fine", Behaviour::page("<p>川</p>")),
//!     ("/late", Behaviour::Status(500).times(2).then(Behaviour::page("<p>海</p>"))),
//! ]);
//! assert!(server.url("/fine").starts_with("http://127.0.0.1:"));
//! ```

mod behaviour;
mod folder;
mod log;
mod wire;

use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{net::TcpStream, runtime::Runtime};

pub use behaviour::{Behaviour, Delay, Gate, Page, Times};
pub use log::{Log, Request};

use log::Journal;
use wire::Connection;

/// A running server. It stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    // An option only so that dropping can take it.
    runtime: Option<Runtime>,
}

struct Shared {
    routes: Mutex<HashMap<String, Route>>,
    folder: Option<PathBuf>,
    delay: Option<Delay>,
    journal: Arc<Journal>,
}

struct Route {
    behaviour: Behaviour,
    // How often it has been asked for since the behaviour was set.
    asked: usize,
}

impl Server {
    /// Starts a server that answers these paths (query included), and 404 elsewhere.
    ///
    /// # Panics
    /// If the machine lets no one listen on the loopback interface.
    pub fn start<P: Into<String>>(routes: impl IntoIterator<Item = (P, Behaviour)>) -> Self {
        Self::launch(routes, None, None)
    }

    /// Starts a server that serves the files under `folder`, each with an entity tag and a date.
    ///
    /// # Panics
    /// As [`Server::start`].
    pub fn folder(folder: impl Into<PathBuf>) -> Self {
        Self::launch::<String>([], Some(folder.into()), None)
    }

    /// As [`Server::folder`], each answer held back for a while drawn by `delay`.
    ///
    /// # Panics
    /// As [`Server::start`].
    pub fn slow_folder(folder: impl Into<PathBuf>, delay: Delay) -> Self {
        Self::launch::<String>([], Some(folder.into()), Some(delay))
    }

    fn launch<P: Into<String>>(
        routes: impl IntoIterator<Item = (P, Behaviour)>,
        folder: Option<PathBuf>,
        delay: Option<Delay>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("sockets can be made non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread to serve from");
        let routes = routes
            .into_iter()
            .map(|(path, behaviour)| (path.into(), Route { behaviour, asked: 0 }))
            .collect();
        let journal = Arc::new(Journal::default());
        let shared = Arc::new(Shared { routes: Mutex::new(routes), folder, delay, journal });
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let (stream, _) = listener.accept().await?;
                // Else the end of each answer waits for the client's delayed acknowledgement.
                stream.set_nodelay(true)?;
                tokio::spawn(converse(stream, Arc::clone(&serving)));
            }
            #[allow(unreachable_code, reason = "names the error type of a loop without an end")]
            Ok::<_, io::Error>(())
        });
        Self { address, shared, runtime: Some(runtime) }
    }

    /// The address of `path` on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Gives `path` another behaviour from now on.
    pub fn set(&self, path: impl Into<String>, behaviour: Behaviour) {
        let route = Route { behaviour, asked: 0 };
        lock(&self.shared.routes).insert(path.into(), route);
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.journal.read(|log| log.requests.clone())
    }

    /// How many requests `path` has had.
    pub fn count(&self, path: &str) -> usize {
        self.shared.journal.read(|log| log.count(path))
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.journal.read(|log| log.most_at_once)
    }

    /// Waits until the log shows what the test waits for.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub fn wait_for(&self, what: &str, seen: impl Fn(&Log) -> bool) {
        self.shared.journal.wait_for(what, seen);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Not a plain drop: that would wait, and panic in an asynchronous test.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A test that panicked elsewhere must not hide its cause behind a poisoned lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn converse(stream: TcpStream, shared: Arc<Shared>) {
    let mut connection = Connection::new(stream);
    while let Some(head) = connection.read_head().await {
        let underway = shared.journal.arrive(head.request());
        let path = head.request().path;
        let (behaviour, asked) = shared.choose(&path);
        if let Some(delay) = shared.delay {
            tokio::time::sleep(delay.of(&path, asked)).await;
        }
        let open = wire::answer(&mut connection, &head, behaviour, asked).await;
        drop(underway);
        if !matches!(open, Ok(true)) {
            return;
        }
    }
}

impl Shared {
    /// What `path` gets this time, and how often it was asked for before.
    fn choose(&self, path: &str) -> (Behaviour, usize) {
        if let Some(route) = lock(&self.routes).get_mut(path) {
            route.asked += 1;
            return (route.behaviour.clone(), route.asked - 1);
        }
        let asked = self.journal.read(|log| log.count(path)) - 1;
        let file = self.folder.as_ref().and_then(|folder| folder::page(folder, path));
        (file.map_or(Behaviour::Status(404), Behaviour::Page), asked)
    }
}
