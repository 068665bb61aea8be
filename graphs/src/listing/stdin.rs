//! Lines of JSON on standard input: `{"id": …, "text": …, "title": …}`, the text alone required.
//!
//! Input cannot be read again, so a line is in the run's spool before anybody hears of it, and the
//! spool is offered first when the run goes on. A line without an id is named by its text's hash. So
//! the same input may be piped in again after a kill: what is known is not taken twice.

use std::{collections::HashMap, io, thread};

use operators::{
    container::{Columns, lines, record_of, text_of},
    record::Entry,
};
use tokio::sync::mpsc;

use super::{
    Trouble,
    kind::{Kind, NextOffer, Offer, Reach},
    spool::Spool,
};
use crate::job::Stdin;

/// Lines that wait to be spooled, and that one offer has at most.
const LINES: usize = 1024;

/// Standard input.
pub(super) struct StdinLines {
    source: Stdin,
    reach: Reach,
    // Bytes that a line may have.
    limit: u64,
    // What each id names, by the hash of its text.
    ids: HashMap<String, String>,
    // None until the first offer is asked for.
    begun: Option<(Spool, mpsc::Receiver<Heard>)>,
}

/// What came in.
enum Heard {
    /// A line with its number.
    Line(u64, Vec<u8>),
    /// A line that is too long to be kept.
    TooLong(u64),
    /// The input broke off.
    Broken(io::Error),
}

impl StdinLines {
    pub fn new(source: Stdin, reach: &Reach) -> Self {
        let limit = reach.client.body_limit();
        Self { source, reach: reach.clone(), limit, ids: HashMap::new(), begun: None }
    }

    async fn next_offer(&mut self) -> Result<Option<Offer>, Trouble> {
        if self.begun.is_none() {
            let spool = Spool::open(&self.reach.run, &self.source.name)?;
            let mut entries = Vec::new();
            spool.each(|number, bytes, line| {
                entries.push(entry(&spool, &self.source, &mut self.ids, number, bytes.start, line));
            })?;
            self.begun = Some((spool, listen(self.limit)?));
            if !entries.is_empty() {
                return Ok(Some(Offer { entries, is_whole: false }));
            }
        }
        let (spool, heard) = self.begun.as_mut().expect("it was begun above");
        let mut batch = Vec::new();
        if heard.recv_many(&mut batch, LINES).await == 0 {
            return Ok(None);
        }
        let (mut numbers, mut kept, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for heard in batch {
            match heard {
                Heard::Line(number, line) => {
                    numbers.push(number);
                    kept.push(line);
                }
                Heard::TooLong(number) => {
                    let reason = format!("it is longer than {} bytes", self.limit);
                    entries.push(unusable(format!("line {number}"), number, &reason));
                }
                Heard::Broken(error) => return Err(error.into()),
            }
        }
        let places = spool.add(&kept)?;
        for ((number, line), place) in numbers.into_iter().zip(&kept).zip(places) {
            if let Some(bytes) = place {
                let line = line.trim_ascii();
                entries.push(entry(spool, &self.source, &mut self.ids, number, bytes.start, line));
            }
        }
        Ok(Some(Offer { entries, is_whole: false }))
    }
}

/// The entry of a line that is in the spool from `start` on. An id names one text for good: of lines
/// that share an id the first is taken, which is the same one however often a run goes on.
fn entry(
    spool: &Spool,
    source: &Stdin,
    ids: &mut HashMap<String, String>,
    number: u64,
    start: u64,
    line: &[u8],
) -> (Entry, Option<String>) {
    let bytes = start..start + line.len() as u64;
    let fields = match text_of(line, &columns(u64::MAX)) {
        Ok(fields) => fields,
        Err(error) => {
            let hash = record_of(bytes, "text", line).hash;
            return unusable(format!("unreadable {hash}"), number, &error.to_string());
        }
    };
    let record = record_of(bytes, "text", &fields.text);
    let hash = record.hash.clone();
    let id = fields.id.unwrap_or_else(|| hash.clone());
    if ids.entry(id.clone()).or_insert_with(|| hash.clone()) != &hash {
        let reason = format!("a line before it has the id \"{id}\" and another text");
        return unusable(format!("{id} {hash}"), number, &reason);
    }
    let entry = Entry {
        id,
        revision: hash,
        title: fields.title.unwrap_or_default(),
        orthography: source.orthography.clone(),
        url: spool.url(record),
        ..Entry::default()
    };
    (entry, None)
}

fn columns(limit: u64) -> Columns {
    let name = str::to_owned;
    Columns { text: name("text"), id: name("id"), title: name("title"), limit }
}

fn unusable(id: String, number: u64, reason: &str) -> (Entry, Option<String>) {
    let revision = format!("unusable: {reason}");
    (Entry { id, revision, ..Entry::default() }, Some(format!("line {number}: {reason}")))
}

/// Reads standard input on a thread of its own, which may wait for ever: no drain waits for it.
fn listen(limit: u64) -> io::Result<mpsc::Receiver<Heard>> {
    let (sender, heard) = mpsc::channel(LINES);
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let read = lines(io::stdin().lock(), limit, &mut |line| {
            let heard = match line.content {
                Some(content) => Heard::Line(line.number, content.to_vec()),
                None => Heard::TooLong(line.number),
            };
            let _the_job_is_ending = sender.blocking_send(heard);
        });
        if let Err(error) = read {
            let _the_job_is_ending = sender.blocking_send(Heard::Broken(error));
        }
    })?;
    Ok(heard)
}

impl Kind for StdinLines {
    fn is_endless(&self) -> bool {
        true
    }

    fn next(&mut self) -> NextOffer<'_> {
        Box::pin(self.next_offer())
    }
}
