//! How the processes find together: who calls whom, and what they say first.
//!
//! Every process but the last listens at its address. The others call the owner's process and say
//! hello; once all have, and all are at the same job, it welcomes them, and they link up, each
//! calling those before it. Whoever is not there yet is called again and again, for as long as the
//! job says. Strangers are hung up on.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::Sender;
use sha2::{Digest, Sha256};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    News, OWNERS, PeersError, Place,
    greeting::{Answer, Greeting, Hello},
    line::keep_alive,
    owner::lost,
    words::{Word, hear, send},
};
use crate::events::Event;

/// From one call to the next, to somebody who is not there yet.
const AGAIN: Duration = Duration::from_millis(200);

/// How long a caller may take for its first word.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// What the processes have once they have met.
pub struct Met {
    /// Workers in each process.
    pub workers: usize,
    /// Timely's links, by process; none for this one.
    pub links: Vec<Option<std::net::TcpStream>>,
    /// Lines of words, by process: to all others for the owner's, to the owner's for the others.
    pub lines: Vec<(usize, TcpStream)>,
}

/// Finds together with the other processes. `workers` is what the owner's process decides.
///
/// # Errors
/// See [`PeersError`].
pub async fn meet(
    place: &Place,
    hello: Hello,
    workers: usize,
    events: &Sender<Event>,
    drain: &Arc<AtomicBool>,
) -> Result<Met, PeersError> {
    let awaited = match place.process {
        OWNERS => place.names(place.others()),
        _ => place.name(OWNERS),
    };
    let tell = |news| {
        let _nobody_watches = events.send(Event::Processes(news));
    };
    tell(News::Waiting(awaited, place.wait));
    let meeting = Meeting { place, until: Instant::now() + place.wait };
    let met = async {
        match place.process {
            OWNERS => meeting.host(&hello, workers).await,
            _ => meeting.join(hello).await,
        }
    };
    let met = tokio::select! {
        met = met => met?,
        () = asked_to_end(drain) => return Err(PeersError::Interrupted),
    };
    tell(News::Together(place.process, place.processes(), met.workers));
    Ok(met)
}

/// Whether whoever has said hello on this line, and waits, has gone since.
fn has_gone(line: &TcpStream) -> bool {
    let heard = line.try_read(&mut [0]);
    !matches!(heard, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

async fn asked_to_end(drain: &AtomicBool) {
    while !drain.load(Ordering::Acquire) {
        sleep(AGAIN).await;
    }
}

struct Meeting<'a> {
    place: &'a Place,
    until: Instant,
}

impl Meeting<'_> {
    /// The owner's side.
    async fn host(&self, hello: &Hello, workers: usize) -> Result<Met, PeersError> {
        let mut calls = self.listen().await?;
        let mut lines = Vec::new();
        if let Err(error) = self.greet(&mut calls, hello, &mut lines).await {
            // Those that wait need not find out by themselves.
            for (_, line) in &mut lines {
                let _it_has_gone = send(line, &Answer::Refused { reason: error.to_string() }).await;
            }
            return Err(error);
        }
        let life = self.life(hello);
        for (of, line) in &mut lines {
            let welcome = Answer::Welcome { workers, life: life.clone() };
            self.said(*of, send(line, &welcome).await)?;
        }
        let links = self.links(&mut calls, &life).await?;
        for (of, line) in &mut lines {
            // Its own links are there, too.
            let ready = self.in_time([*of], hear::<Word>(line)).await?;
            self.said(*of, ready)?;
        }
        Ok(Met { workers, links, lines })
    }

    /// Takes the hello of every other process.
    async fn greet(
        &self,
        calls: &mut mpsc::Receiver<(TcpStream, Greeting)>,
        hello: &Hello,
        lines: &mut Vec<(usize, TcpStream)>,
    ) -> Result<(), PeersError> {
        while lines.len() + 1 < self.place.processes() {
            let is_there = |other: &usize| lines.iter().any(|(of, _)| of == other);
            let missing = || self.place.others().filter(|other| !is_there(other)).collect();
            let (mut stream, greeting) = self.next(calls, missing).await?;
            let Greeting::Hello(other) = greeting else { continue }; // of another life of the run
            lines.retain(|(of, line)| *of != other.process || !has_gone(line));
            let mut refusal = hello.refuses(&other);
            if refusal.is_none() && lines.iter().any(|(of, _)| *of == other.process) {
                refusal = Some(format!("there is a process {} already", other.process));
            }
            let Some(reason) = refusal else {
                lines.push((other.process, stream));
                lines.sort_by_key(|(of, _)| *of);
                continue;
            };
            let whom = format!("process {}", other.process);
            let from = stream.peer_addr().map_or(String::new(), |from| format!(", from {from},"));
            let _it_has_gone = send(&mut stream, &Answer::Refused { reason: reason.clone() }).await;
            return Err(PeersError::Differs { whom: whom + &from, reason });
        }
        Ok(())
    }

    /// The other processes' side.
    async fn join(&self, hello: Hello) -> Result<Met, PeersError> {
        let process = self.place.process;
        let is_last = process + 1 == self.place.processes();
        let (_nobody_calls, calls) = mpsc::channel(1);
        let mut calls = if is_last { calls } else { self.listen().await? };
        let mut line = self.call(OWNERS, &Greeting::Hello(Box::new(hello))).await?;
        let answer = self.in_time([OWNERS], hear::<Answer>(&mut line)).await?;
        let (workers, life) = match self.said(OWNERS, answer)? {
            Answer::Welcome { workers, life } => (workers, life),
            Answer::Refused { reason } => {
                return Err(PeersError::Refused { whom: self.place.name(OWNERS), reason });
            }
        };
        let mut links = self.links(&mut calls, &life).await?;
        for (to, link) in links.iter_mut().enumerate().take(process) {
            let call = self.call(to, &Greeting::Link { process, life: life.clone() }).await?;
            *link = Some(self.said(to, call.into_std())?);
        }
        let ready = send(&mut line, &Word::Ready).await;
        self.said(OWNERS, ready)?;
        Ok(Met { workers, links, lines: vec![(OWNERS, line)] })
    }

    /// The links that the processes after this one call for.
    async fn links(
        &self,
        calls: &mut mpsc::Receiver<(TcpStream, Greeting)>,
        life: &str,
    ) -> Result<Vec<Option<std::net::TcpStream>>, PeersError> {
        let after = self.place.process + 1..self.place.processes();
        let mut links: Vec<_> = (0..self.place.processes()).map(|_| None).collect();
        while after.clone().any(|of| links[of].is_none()) {
            let missing = || after.clone().filter(|of| links[*of].is_none()).collect();
            let (stream, greeting) = self.next(calls, missing).await?;
            if let Greeting::Link { process, life: theirs } = greeting
                && after.contains(&process)
                && theirs == life
            {
                links[process] = Some(self.said(process, stream.into_std())?);
            }
        }
        Ok(links)
    }

    /// Listens at this process's address, and hands over whoever calls, with its first word.
    async fn listen(&self) -> Result<mpsc::Receiver<(TcpStream, Greeting)>, PeersError> {
        let Place { process, hosts, .. } = self.place;
        let (process, address) = (*process, hosts[*process].clone());
        let listener = TcpListener::bind(&address).await.map_err(|cause| PeersError::Listen {
            process,
            address,
            cause: cause.to_string(),
        })?;
        let (tell, calls) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let called = tokio::select! {
                    called = listener.accept() => called,
                    () = tell.closed() => return,
                };
                // Out of descriptors, say: whoever has called will call again.
                let Ok((mut stream, _)) = called else { continue };
                let tell = tell.clone();
                tokio::spawn(async move {
                    let kept = keep_alive(&stream);
                    let greeting = timeout(FIRST_WORD, hear(&mut stream)).await;
                    if let (Ok(()), Ok(Ok(greeting))) = (kept, greeting) {
                        let _all_are_there = tell.send((stream, greeting)).await;
                    }
                });
            }
        });
        Ok(calls)
    }

    /// The next that calls.
    async fn next(
        &self,
        calls: &mut mpsc::Receiver<(TcpStream, Greeting)>,
        missing: impl Fn() -> Vec<usize>,
    ) -> Result<(TcpStream, Greeting), PeersError> {
        let called = timeout_at(self.until, calls.recv()).await;
        called.ok().flatten().ok_or_else(|| self.absent(missing(), String::new()))
    }

    /// Calls a process until it answers, and says the first word.
    async fn call(&self, to: usize, greeting: &Greeting) -> Result<TcpStream, PeersError> {
        loop {
            let called = async {
                let mut stream = TcpStream::connect(&self.place.hosts[to]).await?;
                keep_alive(&stream)?;
                send(&mut stream, greeting).await?;
                Ok::<_, io::Error>(stream)
            };
            let cause = match timeout_at(self.until, called).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(cause)) => format!(": {cause}"),
                Err(_) => String::new(),
            };
            if timeout_at(self.until, sleep(AGAIN)).await.is_err() {
                return Err(self.absent(vec![to], cause));
            }
        }
    }

    async fn in_time<T>(
        &self,
        whom: impl IntoIterator<Item = usize>,
        answer: impl Future<Output = T>,
    ) -> Result<T, PeersError> {
        let answer = timeout_at(self.until, answer).await;
        answer.map_err(|_| {
            let cause = match self.place.process {
                OWNERS => ", which is there, but not with its links",
                _ => ", which is there, but waits for others",
            };
            self.absent(whom.into_iter().collect(), cause.to_owned())
        })
    }

    fn absent(&self, missing: Vec<usize>, cause: String) -> PeersError {
        let missing = self.place.names(missing);
        PeersError::Absent { missing, seconds: self.place.wait.as_secs(), cause }
    }

    /// What came of speaking to a process, which may have gone.
    fn said<T>(&self, to: usize, result: io::Result<T>) -> Result<T, PeersError> {
        result.map_err(|error| lost(self.place.name(to), &error))
    }

    /// What nobody can call this life of the run but those who were welcomed.
    fn life(&self, hello: &Hello) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let told = format!("{hello:?} {} {:?}", std::process::id(), now);
        Sha256::digest(told)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
