//! One request and its answer.
//!
//! An answer is whole or it is a failure: a body that ends early never passes for a page. (Only a
//! server that neither says a length nor sends chunks can cut a body off unseen.)

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use reqwest::{
    Response,
    header::{
        CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
        LOCATION, RETRY_AFTER,
    },
};
use sha2::{Digest, Sha256};
use url::Url;

use super::{
    cache::Kept,
    count::{Tally, count},
    guard::Private,
    host::site,
    retry::{self, Meaning},
    trouble::{Failure, Fault, Refusal, Trouble},
};

/// What a server answered.
#[derive(Debug)]
pub enum Answer {
    /// The page.
    Page(Received),
    /// What is kept has not changed.
    NotModified,
    /// Ask there instead.
    Elsewhere(String),
}

/// A page as it was received, decompressed.
#[derive(Debug)]
pub struct Received {
    pub body: Bytes,
    pub content: [u8; 32],
    pub media: String,
    pub charset: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Miss {
    /// It may go better next time, though not before the time that the server asked for.
    Again(Failure, Option<Duration>),
    /// It will not.
    Done(Trouble),
}

impl From<Trouble> for Miss {
    fn from(trouble: Trouble) -> Self {
        Self::Done(trouble)
    }
}

impl From<Refusal> for Miss {
    fn from(refusal: Refusal) -> Self {
        Self::Done(refusal.into())
    }
}

impl From<Fault> for Miss {
    fn from(fault: Fault) -> Self {
        Self::Done(fault.into())
    }
}

/// How much of a body is read.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// A larger body is refused.
    Refuse(u64),
    /// Of a larger body only so many bytes are taken.
    Truncate(u64),
}

/// Asks for `url`, only if it has changed since `known`, and reads the answer to its end.
pub async fn exchange(
    http: &reqwest::Client,
    url: &Url,
    known: Option<&Kept>,
    limit: Limit,
    tally: &Tally,
) -> Result<Answer, Miss> {
    let mut request = http.get(url.clone());
    if let Some(known) = known {
        let conditions = [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)];
        for (name, value) in conditions {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
    }
    let response = request.send().await.map_err(|error| {
        if is_private(&error) {
            return Refusal::Private(site(url)).into();
        }
        Miss::Again(unanswered(&error), None)
    })?;
    let status = response.status().as_u16();
    let headers = response.headers();
    match retry::meaning(status) {
        Meaning::Page => receive(response, limit, tally).await.map(Answer::Page),
        // Only an answer to a condition; unasked for, it brings nothing.
        Meaning::NotModified if known.is_some() => Ok(Answer::NotModified),
        Meaning::Elsewhere => match text(headers, &LOCATION) {
            Some(place) => Ok(Answer::Elsewhere(place)),
            None => Err(Refusal::Status(status).into()),
        },
        Meaning::Transient => {
            let after = text(headers, &RETRY_AFTER);
            let wait = after.and_then(|after| retry::retry_after(&after, SystemTime::now()));
            Err(Miss::Again(Failure::Status(status), wait))
        }
        Meaning::NotModified | Meaning::Final => Err(Refusal::Status(status).into()),
    }
}

async fn receive(mut response: Response, limit: Limit, tally: &Tally) -> Result<Received, Miss> {
    let (most, truncate) = match limit {
        Limit::Refuse(most) => (most, false),
        Limit::Truncate(most) => (most, true),
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > most && !truncate {
        return Err(Refusal::TooLarge(most).into());
    }
    let headers = response.headers().clone();
    let (media, charset) = text(&headers, &CONTENT_TYPE).map(|of| kind(&of)).unwrap_or_default();
    let mut body = Vec::with_capacity(usize::try_from(announced.min(most)).unwrap_or(0));
    let mut hasher = Sha256::new();
    let cut = |error: reqwest::Error| Miss::Again(cut_off(&error), None);
    while let Some(mut chunk) = response.chunk().await.map_err(cut)? {
        let room = usize::try_from(most).unwrap_or(usize::MAX) - body.len();
        let full = chunk.len() > room;
        if full && !truncate {
            return Err(Refusal::TooLarge(most).into());
        }
        chunk.truncate(room);
        count(&tally.bytes, chunk.len() as u64);
        hasher.update(&chunk);
        body.extend_from_slice(&chunk);
        if full {
            break;
        }
    }
    // It goes on as it is, and one whose length was not announced has grown by doubling.
    body.shrink_to_fit();
    Ok(Received {
        body: body.into(),
        content: hasher.finalize().into(),
        media,
        charset,
        etag: text(&headers, &ETAG),
        last_modified: text(&headers, &LAST_MODIFIED),
    })
}

/// A header field's value, if it is text.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The media type and the charset in a `Content-Type`, both in lower case.
fn kind(value: &str) -> (String, Option<String>) {
    let mut parts = value.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let charset = parts
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_ascii_lowercase());
    (media, charset.filter(|charset| !charset.is_empty()))
}

fn unanswered(error: &reqwest::Error) -> Failure {
    if error.is_timeout() {
        Failure::Timeout
    } else if error.is_connect() {
        Failure::Unreachable(cause(error))
    } else {
        Failure::Broken(cause(error))
    }
}

/// Whether the name could have been looked up, but stands for no public address.
fn is_private(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(of) = cause {
        if of.is::<Private>() {
            return true;
        }
        cause = of.source();
    }
    false
}

fn cut_off(error: &reqwest::Error) -> Failure {
    if error.is_timeout() { Failure::Timeout } else { Failure::Cut(cause(error)) }
}

/// The innermost cause: the outer ones only say that a request failed.
pub fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_a_media_type_and_perhaps_a_charset() {
        let html = |charset: Option<&str>| ("text/html".to_owned(), charset.map(str::to_owned));
        assert_eq!(kind("text/html"), html(None));
        assert_eq!(kind("Text/HTML; charset=Shift_JIS"), html(Some("shift_jis")));
        assert_eq!(kind("text/html;level=1; Charset = \"UTF-8\""), html(Some("utf-8")));
        assert_eq!(kind("text/html; charset="), html(None));
        assert_eq!(kind(""), (String::new(), None));
    }
}
