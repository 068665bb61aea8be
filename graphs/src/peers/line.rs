//! A line of words to another process: what is said goes out in turn, from whatever thread.

use std::{io, time::Duration};

use tokio::{
    net::{TcpStream, tcp::OwnedReadHalf},
    runtime::Handle,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};

use super::words::{Word, send};

/// The end that speaks. Once the last of its clones is dropped, and what was said has gone out, the
/// other end hears that the line is closed.
#[derive(Clone)]
pub struct Line {
    to: UnboundedSender<Word>,
}

impl Line {
    /// A line over this connection, and the end to listen at.
    pub fn over(stream: TcpStream, runtime: &Handle) -> (Self, OwnedReadHalf) {
        // While a word is under way the system asks nothing, and would try for a quarter of an hour.
        // Not for timely's links: whoever is slow to read those is not lost.
        #[cfg(target_os = "linux")]
        let _or_it_takes_longer =
            socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(Duration::from_secs(25)));
        let (heard, mut written) = stream.into_split();
        let (to, mut said) = unbounded_channel();
        runtime.spawn(async move {
            while let Some(word) = said.recv().await {
                // Whoever listens on this connection finds out why.
                if send(&mut written, &word).await.is_err() {
                    break;
                }
            }
        });
        (Self { to }, heard)
    }

    /// Says a word, to whoever is still there.
    pub fn say(&self, word: Word) {
        let _the_line_is_gone = self.to.send(word);
    }
}

/// Has the system ask, while nothing is sent, whether the other machine is still there: one that is gone
/// says no word, and is noticed within half a minute.
///
/// # Errors
/// If the system does not want to.
pub fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let probes = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        .with_retries(3);
    let socket = socket2::SockRef::from(stream);
    socket.set_tcp_keepalive(&probes)?;
    stream.set_nodelay(true)
}
