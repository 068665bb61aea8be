//! The control server of a running job: commands and status over loopback HTTP.
//!
//! It listens on a free port of 127.0.0.1. Address and token are in the run's `control.json`, which
//! only the user can read; every request needs the token. Bodies are at most [`BODY_LIMIT`] long and
//! are read as strictly as a job file. The `Host` must be the address itself, so that no web page
//! can reach the server through a name of its own.

pub mod metrics;
pub mod notice;

use std::{
    any::Any,
    io,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::{Arc, OnceLock},
    thread::{self, JoinHandle},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use graphs::{
    control::{Board, Command, Helm, Status, SteerError, status},
    job::Source,
    listing::Lister,
};
use operators::{Epoch, fetch::Client};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::{runtime::Builder, sync::oneshot};

use notice::Notice;

/// Bytes of a request's body, at most.
pub const BODY_LIMIT: usize = 64 * 1024;

/// What the server shows beside the helm.
#[derive(Clone)]
pub struct View {
    /// The run directory.
    pub directory: PathBuf,
    /// How the job goes.
    pub board: Board,
    /// The web client, once there is one.
    pub client: Arc<OnceLock<Client>>,
    /// What attaches and detaches sources, once there is something to attach them to.
    pub lister: Arc<OnceLock<Lister>>,
}

/// A server that runs until this is dropped.
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    directory: PathBuf,
    notice: Notice,
}

#[derive(Clone)]
struct Desk {
    helm: Helm,
    view: View,
    host: Arc<str>,
    token: Arc<str>,
}

impl Server {
    /// Starts the server and says in the run directory where it is. Only for the process that has
    /// the directory locked.
    ///
    /// # Errors
    /// If there is no port, or the notice cannot be written.
    pub fn start(helm: &Helm, view: &View) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let notice = Notice::new(listener.local_addr()?);
        let directory = view.directory.clone();
        let desk = Desk {
            helm: helm.clone(),
            view: view.clone(),
            host: notice.address.to_string().into(),
            token: notice.token.clone().into(),
        };
        let (stop, stopped) = oneshot::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let serve = move || {
            let served = runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let asked_to_stop = async {
                    let _or_dropped = stopped.await;
                };
                axum::serve(listener, router(desk)).with_graceful_shutdown(asked_to_stop).await
            });
            if let Err(error) = served {
                say!("the run can be steered no more: {error}");
            }
        };
        let thread = thread::Builder::new().name("control".into()).spawn(serve)?;
        notice.write(&directory)?;
        Ok(Self { stop: Some(stop), thread: Some(thread), directory, notice })
    }

    /// What a run is given to be steered by.
    pub fn steering(view: View) -> graphs::run::Steering {
        Arc::new(move |helm| Ok(Box::new(Self::start(helm, &view)?) as Box<dyn Any>))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.notice.remove(&self.directory);
        drop(self.stop.take());
        let _has_ended = self.thread.take().map(JoinHandle::join);
    }
}

fn router(desk: Desk) -> Router {
    Router::new()
        .route("/commands", post(command))
        .route("/status", get(show))
        .route("/metrics", get(measure))
        .fallback(nothing_there)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(middleware::from_fn_with_state(desk.clone(), admit))
        .with_state(desk)
}

/// Lets nobody by without the token.
async fn admit(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    match refusal(&desk, request.headers()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// Why a request with these headers is refused, if it is.
fn refusal(desk: &Desk, headers: &HeaderMap) -> Option<Response> {
    let field = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if field(header::HOST) != Some(&*desk.host) {
        let reason = "this server has no such name";
        return Some(refuse(StatusCode::MISDIRECTED_REQUEST, &reason));
    }
    let token = field(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    // In the same time for every token, so that none can be guessed byte by byte.
    let known = token.map(|token| bool::from(token.as_bytes().ct_eq(desk.token.as_bytes())));
    if known != Some(true) {
        let advice = "send the token of the run's control.json, as `Authorization: Bearer TOKEN`";
        return Some(refuse(StatusCode::UNAUTHORIZED, &advice));
    }
    None
}

async fn nothing_there() -> Response {
    refuse(StatusCode::NOT_FOUND, &"there are POST /commands, GET /status and GET /metrics")
}

async fn not_so() -> Response {
    let advice = "commands are sent by POST; /status and /metrics are asked for by GET";
    refuse(StatusCode::METHOD_NOT_ALLOWED, &advice)
}

async fn command(State(desk): State<Desk>, body: Result<Bytes, BytesRejection>) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return refuse(rejection.status(), &rejection.body_text()),
    };
    let command: Command = match serde_json::from_slice(&body) {
        Ok(command) => command,
        Err(error) => {
            return refuse(
                StatusCode::UNPROCESSABLE_ENTITY,
                &format!("could not read the command: {error}"),
            );
        }
    };
    let told = json!(command);
    let given = match command {
        Command::Attach { source } => desk.attach(source).await,
        Command::Detach { name } => desk.detach(&name),
        command => {
            // It waits for the disk.
            let helm = desk.helm.clone();
            match tokio::task::spawn_blocking(move || helm.give(command)).await {
                Ok(given) => given.map_err(|error| (status_of(&error), error.to_string())),
                Err(panic) => Err((StatusCode::INTERNAL_SERVER_ERROR, panic.to_string())),
            }
        }
    };
    match given {
        Ok(epoch) => answer(
            StatusCode::OK,
            &json!({ "directory": desk.view.directory, "from_epoch": epoch, "command": told }),
        ),
        Err((status, error)) => refuse(status, &error),
    }
}

fn status_of(error: &SteerError) -> StatusCode {
    match error {
        SteerError::Draining | SteerError::NameTaken { .. } => StatusCode::CONFLICT,
        SteerError::Journal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        SteerError::NoWorkers
        | SteerError::TooManyWorkers { .. }
        | SteerError::Source(_)
        | SteerError::NoSuchSource { .. } => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Why a command was not done.
type Refused = (StatusCode, String);

impl Desk {
    /// Lists a source, which may take a while, and has it take part.
    async fn attach(&self, source: Source) -> Result<Epoch, Refused> {
        let (helm, command) = (self.helm.clone(), Command::Attach { source: source.clone() });
        let lister = self.lister(&command)?;
        let journal = move |from| helm.settle(from, command).map_err(io::Error::other);
        let attached = lister.attach(source, journal).await;
        attached.map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
    }

    fn detach(&self, name: &str) -> Result<Epoch, Refused> {
        let command = Command::Detach { name: name.to_owned() };
        let lister = self.lister(&command)?;
        let journal = |from| self.helm.settle(from, command).map_err(io::Error::other);
        let detached = lister.detach(name, journal);
        detached.map_err(|error| (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()))
    }

    /// Whoever does such a command, if it makes sense.
    fn lister(&self, command: &Command) -> Result<&Lister, Refused> {
        self.helm.check(command).map_err(|error| (status_of(&error), error.to_string()))?;
        let not_yet = || (StatusCode::SERVICE_UNAVAILABLE, "the run is still starting".to_owned());
        self.view.lister.get().ok_or_else(not_yet)
    }

    fn status(&self) -> Status {
        let counters = self.view.client.get().map(Client::counters);
        status(self.view.directory.clone(), &self.helm, self.view.board.read(), counters)
    }
}

async fn show(State(desk): State<Desk>) -> Response {
    answer(StatusCode::OK, &json!(desk.status()))
}

async fn measure(State(desk): State<Desk>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, metrics::text(&desk.status())).into_response()
}

fn refuse(status: StatusCode, reason: &impl ToString) -> Response {
    answer(status, &json!({ "error": reason.to_string() }))
}

fn answer(status: StatusCode, answer: &serde_json::Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, format!("{answer}\n")).into_response()
}
