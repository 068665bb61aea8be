//! The sample library: 24 short works of our own, served as Aozora Bunko serves its works.
//!
//! [`SampleServer::start`] answers on a loopback address of its own from the moment it returns until
//! it is dropped, so a first run needs neither the network nor a download. It serves the index (the
//! library's CSV in a zip, always the same bytes) and the pages in Shift_JIS without a declared
//! charset, each with an `ETag`; it answers 304 where the reader has the same bytes, else 404.
//! It fails only where no loopback port can be had.
//!
//! The texts were written for this project and come under its licence. The index calls them free of
//! copyright all the same: that column is what the catalogue asks before a page may be fetched.

use std::{
    collections::HashMap,
    io::{self, Cursor, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use encoding_rs::SHIFT_JIS;
use sha2::{Digest, Sha256};
use tokio::{runtime::Handle, sync::oneshot};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

mod works;

/// Where the index is served.
const INDEX_PATH: &str = "/index_pages/list_person_all_extended_utf8.zip";
/// What the index is called inside its zip.
const INDEX_NAME: &str = "list_person_all_extended_utf8.csv";

/// A web server for the sample library; it stops when dropped.
#[derive(Debug)]
pub struct SampleServer {
    address: SocketAddr,
    // Never sent on: dropping it is what tells the server to stop.
    _stop: oneshot::Sender<()>,
}

impl SampleServer {
    /// Starts a server on the runtime, at a free port of the loopback address.
    ///
    /// # Errors
    /// If no loopback port can be bound, or the index cannot be packed.
    pub fn start(runtime: &Handle) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let listener = {
            // Tokio registers the socket with the runtime that is entered.
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let router =
            Router::new().route("/{*path}", get(answer)).with_state(Arc::new(Library::open()?));
        let (stop, stopped) = oneshot::channel::<()>();
        runtime.spawn(async move {
            let dropped = async move {
                let _ = stopped.await;
            };
            // Accepting retries for ever by itself, so there is no error to report.
            let _ = axum::serve(listener, router).with_graceful_shutdown(dropped).await;
        });
        Ok(Self { address, _stop: stop })
    }

    /// The address to give the job as its mirror, as `http://ADDRESS`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What is served, by path.
struct Library {
    resources: HashMap<&'static str, Resource>,
}

/// One thing to serve.
struct Resource {
    media: &'static str,
    tag: String,
    body: Bytes,
}

impl Library {
    /// Packs the index and encodes the pages.
    fn open() -> io::Result<Self> {
        let index = Resource::new("application/zip", zipped(works::INDEX)?);
        let pages = works::PAGES
            .iter()
            .map(|(path, page)| (*path, Resource::new("text/html", shift_jis(page))));
        Ok(Self { resources: pages.chain([(INDEX_PATH, index)]).collect() })
    }
}

impl Resource {
    fn new(media: &'static str, body: Vec<u8>) -> Self {
        let hash = Sha256::digest(&body);
        let tag = hash[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { media, tag: format!("\"{tag}\""), body: body.into() }
    }
}

async fn answer(State(library): State<Arc<Library>>, uri: Uri, asked: HeaderMap) -> Response {
    let Some(resource) = library.resources.get(uri.path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = HeaderValue::from_str(&resource.tag).expect("a tag is hexadecimal digits in quotes");
    let known = asked.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok());
    if known.is_some_and(|known| names(known, &resource.tag)) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let media = HeaderValue::from_static(resource.media);
    let headers = [(header::CONTENT_TYPE, media), (header::ETAG, tag)];
    (headers, Body::from(resource.body.clone())).into_response()
}

/// Whether an `If-None-Match` header names the tag (RFC 9110, 13.1.2: weak comparison).
fn names(known: &str, tag: &str) -> bool {
    known.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
}

/// The page's bytes as its own declaration has them.
fn shift_jis(page: &str) -> Vec<u8> {
    let (bytes, _, unmappable) = SHIFT_JIS.encode(page);
    assert!(!unmappable, "the sample pages hold characters of Shift_JIS only");
    bytes.into_owned()
}

/// The index as the library packs it: a byte order mark, CRLF, one file in a zip.
///
/// The entry's time is fixed, so that the bytes (and with them the `ETag`) are always the same.
fn zipped(index: &str) -> io::Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(INDEX_NAME, options)?;
    zip.write_all("\u{feff}".as_bytes())?;
    zip.write_all(index.replace('\n', "\r\n").as_bytes())?;
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests;
