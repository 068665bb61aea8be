//! Just enough HTTP/1.1 to answer `GET`, rightly or wrongly.

use std::{io, time::Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    behaviour::{Behaviour, Page},
    log::Request,
};

pub struct Connection {
    stream: TcpStream,
    // What was read beyond the last head.
    unread: Vec<u8>,
}

/// The head of a request.
pub struct Head {
    path: String,
    headers: Vec<(String, String)>,
}

impl Head {
    pub fn request(&self) -> Request {
        Request { path: self.path.clone(), headers: self.headers.clone(), at: Instant::now() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// The next request; `None` once the client has hung up.
    pub async fn read_head(&mut self) -> Option<Head> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.stream.read_buf(&mut self.unread).await.ok()? == 0 {
                return None;
            }
        };
        let head: Vec<u8> = self.unread.drain(..end).collect();
        let head = String::from_utf8_lossy(&head);
        let mut lines = head.lines();
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Some(Head { path, headers: headers.collect() })
    }

    async fn hung_up(&mut self) {
        let mut ignored = [0; 64];
        while self.stream.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
    }
}

/// Answers one request; says whether the connection is still good.
pub async fn answer(
    connection: &mut Connection,
    head: &Head,
    mut behaviour: Behaviour,
    asked: usize,
) -> io::Result<bool> {
    loop {
        behaviour = match behaviour {
            Behaviour::First { times, now, .. } if asked < times => *now,
            Behaviour::First { then, .. } => *then,
            Behaviour::Gated(gate, then) => {
                gate.pass().await;
                *then
            }
            Behaviour::Slow(delay, then) => {
                tokio::time::sleep(delay.of(&head.path, asked)).await;
                *then
            }
            settled => break perform(connection, head, settled).await,
        }
    }
}

async fn perform(
    connection: &mut Connection,
    head: &Head,
    behaviour: Behaviour,
) -> io::Result<bool> {
    let stream = &mut connection.stream;
    match behaviour {
        Behaviour::Page(page) => {
            let page = if known(head, &page) { not_modified(page) } else { page };
            // A 304 has no body, and says no length.
            let length = (page.status != 304).then_some(page.body.len());
            stream.write_all(written(&page, length).as_bytes()).await?;
            stream.write_all(&page.body).await?;
        }
        Behaviour::Status(status) => {
            let page = Page { status, ..Page::html("") };
            stream.write_all(written(&page, Some(0)).as_bytes()).await?;
        }
        Behaviour::Redirect(to) => {
            let page = Page { status: 302, ..Page::html("") }.header("Location", to);
            stream.write_all(written(&page, Some(0)).as_bytes()).await?;
        }
        Behaviour::Hang => {
            connection.hung_up().await;
            return Ok(false);
        }
        Behaviour::Close => return Ok(false),
        Behaviour::Cut { page, after, chunked: false } => {
            stream.write_all(written(&page, Some(page.body.len())).as_bytes()).await?;
            stream.write_all(&page.body[..after]).await?;
            return Ok(false);
        }
        Behaviour::Cut { page, after, chunked: true } => {
            let page = page.header("Transfer-Encoding", "chunked");
            stream.write_all(written(&page, None).as_bytes()).await?;
            // The last chunk, which says that the body is whole, never comes.
            stream.write_all(format!("{after:x}\r\n").as_bytes()).await?;
            stream.write_all(&page.body[..after]).await?;
            stream.write_all(b"\r\n").await?;
            return Ok(false);
        }
        Behaviour::Endless => {
            let page = Page::html("").header("Transfer-Encoding", "chunked");
            stream.write_all(written(&page, None).as_bytes()).await?;
            let chunk = [b"4000\r\n".as_slice(), &[b'.'; 0x4000], b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Behaviour::First { .. } | Behaviour::Gated(..) | Behaviour::Slow(..) => {
            unreachable!("answer has unwrapped them")
        }
    }
    Ok(true)
}

/// RFC 9110, 13.2.2: the entity tag decides if the request has one, else the date.
fn known(head: &Head, page: &Page) -> bool {
    if page.status != 200 {
        return false;
    }
    match (head.header("if-none-match"), head.header("if-modified-since")) {
        (Some(tag), _) => page.field("ETag") == Some(tag),
        (None, Some(since)) => {
            let date = |text| httpdate::parse_http_date(text).ok();
            let modified = page.field("Last-Modified").and_then(date);
            modified.zip(date(since)).is_some_and(|(modified, since)| modified <= since)
        }
        (None, None) => false,
    }
}

fn not_modified(page: Page) -> Page {
    Page { status: 304, body: Default::default(), ..page }
}

fn written(page: &Page, length: Option<usize>) -> String {
    let mut text = format!("HTTP/1.1 {} as told\r\n", page.status);
    for (name, value) in &page.headers {
        text += &format!("{name}: {value}\r\n");
    }
    if let Some(length) = length {
        text += &format!("Content-Length: {length}\r\n");
    }
    text + "\r\n"
}
