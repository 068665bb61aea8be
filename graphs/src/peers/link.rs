//! The links between processes that timely sends records on.
//!
//! Timely ends a broken link by a panic in the thread that reads or writes it. So it is handed
//! sockets of ours, which never tell it that they are broken: what is read then waits for ever, what
//! is written is gone, and whoever stops the job hears of it. A link whose other end has said that it
//! sends nothing more (timely's empty message) just ends.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    thread,
};

use timely::communication::{
    Hooks,
    allocator::{
        AllocatorBuilder, ProcessBuilder,
        zero_copy::{initialize::initialize_networking_from_sockets, stream::Stream},
    },
};

/// Called with the other process's number, and what was seen, when a link breaks.
pub type OnLoss = Arc<dyn Fn(usize, String) + Send + Sync>;

/// One end of a link.
struct Link {
    stream: TcpStream,
    to: usize,
    on_loss: OnLoss,
    frames: Frames,
}

impl Link {
    fn lost(&self, cause: &impl ToString) {
        (self.on_loss)(self.to, cause.to_string());
    }
}

impl Read for Link {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) if self.frames.have_ended => return Ok(0),
                Ok(0) => self.lost(&"the connection was closed"),
                Ok(read) => {
                    self.frames.pass(&buffer[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) if self.frames.have_ended => return Ok(0),
                Err(error) => self.lost(&error),
            }
            // Until the process ends, as it will.
            loop {
                thread::park();
            }
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.write(bytes) {
                Ok(written) => return Ok(written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.lost(&error);
                    return Ok(bytes.len());
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // a socket holds nothing back
    }
}

impl Stream for Link {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            stream: self.stream.try_clone()?,
            to: self.to,
            on_loss: Arc::clone(&self.on_loss),
            frames: Frames::default(),
        })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.stream.set_nonblocking(nonblocking)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let _gone_already = self.stream.shutdown(how);
        Ok(())
    }
}

/// Follows timely's messages, to know the empty one that says that nothing more will come: a header of
/// six numbers, of which the fifth is the length of what follows.
#[derive(Debug, Default)]
struct Frames {
    header: Vec<u8>,
    // Bytes left of the message that the header was of.
    left: u64,
    have_ended: bool,
}

impl Frames {
    const HEADER: usize = 6 * size_of::<u64>();
    const LENGTH: usize = 4 * size_of::<u64>();

    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let passed = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= passed as u64;
                bytes = &bytes[passed..];
                continue;
            }
            let missing = (Self::HEADER - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.header.len() == Self::HEADER {
                let length = &self.header[Self::LENGTH..Self::LENGTH + size_of::<u64>()];
                self.left = u64::from_be_bytes(length.try_into().expect("it is so long"));
                self.have_ended = self.left == 0;
                self.header.clear();
            }
        }
    }
}

/// What timely's workers of this process are built from: `links` to each other process, by its number.
///
/// # Errors
/// If there is no room for a thread or a socket.
pub fn builders(
    workers: usize,
    process: usize,
    links: Vec<Option<TcpStream>>,
    on_loss: &OnLoss,
) -> io::Result<Vec<AllocatorBuilder>> {
    let links = links.into_iter().enumerate().map(|(to, stream)| {
        let (on_loss, frames) = (Arc::clone(on_loss), Frames::default());
        stream.map(|stream| Link { stream, to, on_loss, frames })
    });
    let hooks = Hooks::default();
    let inner =
        ProcessBuilder::new_typed_vector(workers, hooks.refill.clone(), hooks.spill.clone());
    let (builders, threads) =
        initialize_networking_from_sockets(inner, links.collect(), process, workers, hooks)?;
    // It would wait for threads whose link is broken. They end with the process.
    std::mem::forget(threads);
    Ok(builders.into_iter().map(AllocatorBuilder::Tcp).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        sync::mpsc::{Receiver, channel},
    };

    use proptest::prelude::*;
    use timely::communication::networking::MessageHeader;

    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let header = MessageHeader {
            channel: 3,
            source: 1,
            target_lower: 0,
            target_upper: 1,
            length,
            seqno: 9,
        };
        let mut bytes = Vec::new();
        header.write_to(&mut bytes).expect("memory takes it");
        bytes.resize(bytes.len() + length, 0);
        bytes
    }

    proptest! {
        #[test]
        fn the_end_is_seen_however_the_bytes_come(
            lengths in prop::collection::vec(1..200usize, 0..8),
            cuts in prop::collection::vec(1..70usize, 1..40),
        ) {
            let mut bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let before = bytes.len();
            bytes.extend(message(0));
            let (mut frames, mut at) = (Frames::default(), 0);
            for cut in cuts.iter().cycle() {
                let to = (at + cut).min(bytes.len());
                frames.pass(&bytes[at..to]);
                at = to;
                prop_assert_eq!(frames.have_ended, at == before + Frames::HEADER);
                if at == bytes.len() {
                    break;
                }
            }
        }
    }

    /// A link, its other end, and what is told of its loss.
    fn link() -> (Link, TcpStream, Receiver<(usize, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let other =
            TcpStream::connect(listener.local_addr().expect("its own")).expect("it listens");
        let (stream, _) = listener.accept().expect("somebody calls");
        let (tell, told) = channel();
        let on_loss: OnLoss = Arc::new(move |to, cause| tell.send((to, cause)).expect("heard"));
        (Link { stream, to: 4, on_loss, frames: Frames::default() }, other, told)
    }

    #[test]
    fn a_link_that_was_ended_ends_and_one_that_breaks_is_told_of() {
        let (mut ended, mut other, told) = link();
        other.write_all(&[message(5), message(0)].concat()).expect("it reads");
        drop(other);
        let mut read = Vec::new();
        ended.read_to_end(&mut read).expect("it just ends");
        assert_eq!(read.len(), 2 * Frames::HEADER + 5);
        drop(ended);
        assert!(told.recv().is_err(), "nothing is told");

        let (mut broken, mut other, told) = link();
        other.write_all(&message(5)).expect("it reads");
        drop(other);
        thread::spawn(move || broken.read_to_end(&mut Vec::new()));
        assert_eq!(told.recv().expect("told"), (4, "the connection was closed".to_owned()));
    }

    #[test]
    fn what_is_written_to_nobody_is_gone_without_a_panic() {
        let (mut link, other, told) = link();
        drop(other);
        while told.try_recv().is_err() {
            link.write_all(&[0; 1000]).expect("it never fails");
        }
        link.flush().and_then(|()| link.shutdown(Shutdown::Both)).expect("nor does this");
    }
}
