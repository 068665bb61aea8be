//! Shows how a job goes: bars on a terminal, plain lines elsewhere. Both on standard error, so that
//! standard output has the outcome alone.

use std::{
    io::IsTerminal,
    sync::{Arc, OnceLock},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use graphs::{
    control::{Board, Command},
    events::Event,
    job::{Model, Moment, Trigger},
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use operators::fetch::Client;

use crate::{age::age, commands::grouped};

/// How often the bars are drawn anew.
const REFRESH: Duration = Duration::from_millis(200);

/// The thread that shows.
pub struct Progress {
    thread: JoinHandle<Option<Duration>>,
    board: Board,
}

impl Progress {
    /// Shows events until nobody can send any more; steps, where there is no terminal, as often as
    /// `print` says.
    pub fn show(events: Receiver<Event>, client: Arc<OnceLock<Client>>, print: Trigger) -> Self {
        let board = Board::default();
        let noted = board.clone();
        let screen = std::io::stderr().is_terminal().then(Bars::new);
        let show = move || {
            let begun = Instant::now();
            let step = Step::default();
            let told = Moment { chunks: 0, steps: 0, at: begun };
            let mut shown = Shown {
                screen,
                client,
                begun,
                first_step: None,
                known: 0,
                account: 0,
                words: 0,
                step,
                print,
                told,
            };
            loop {
                match events.recv_timeout(REFRESH) {
                    Ok(event) => {
                        noted.note(&event);
                        shown.take(event);
                    }
                    Err(RecvTimeoutError::Timeout) => shown.refresh(),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            shown.clear();
            shown.first_step
        };
        let thread = thread::Builder::new().name("progress".into()).spawn(show);
        Self { thread: thread.expect("a thread can be started"), board }
    }

    /// What was shown so far, as data.
    pub fn board(&self) -> Board {
        self.board.clone()
    }

    /// Waits until everything was shown; how long after its start the process took its first step,
    /// if it took one.
    pub fn end(self) -> Option<Duration> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

struct Bars {
    all: MultiProgress,
    documents: ProgressBar,
    training: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let style = |template| ProgressStyle::with_template(template).expect("our own template");
        let documents = all.add(ProgressBar::new(0).with_style(style(
            "documents {bar:30} {pos}/{len} {msg} [{elapsed_precise}, {eta} left]",
        )));
        let training = all.add(ProgressBar::new_spinner().with_style(style("training  {msg}")));
        Self { all, documents, training }
    }
}

/// What the training line tells.
#[derive(Default)]
struct Step {
    step: u64,
    chunk: u64,
    pass: u32,
    loss: f64,
    words_per_second: f64,
    // Since the last chunk: steps' targets and when that was.
    targets: u64,
    since: Option<Instant>,
}

struct Shown {
    screen: Option<Bars>,
    client: Arc<OnceLock<Client>>,
    begun: Instant,
    first_step: Option<Duration>,
    known: u64,
    account: u64,
    words: u64,
    step: Step,
    print: Trigger,
    told: Moment,
}

/// What a line about a model begins with; one without a name of its own is the only one.
fn called(model: &str) -> String {
    if model == Model::default().name { String::new() } else { format!("{model}: ") }
}

impl Shown {
    fn take(&mut self, event: Event) {
        match event {
            Event::PassedOver(path, reason) => {
                let path = path.display();
                self.say(&format!("passed over checkpoint, now called {path}: {reason}"));
            }
            Event::Resumed(epoch, account, next_chunk) => {
                self.step.chunk = next_chunk;
                self.told.chunks = next_chunk;
                (self.account, self.words) = (account.entries, account.words);
                self.known = account.entries;
                self.say(&format!(
                    "resumed from epoch {epoch}, {} entries done",
                    grouped(account.entries)
                ));
            }
            Event::Listed(listed) => {
                self.known += listed.new + listed.unusable + listed.withdrawn;
                self.say(&format!(
                    "source {}: {} entries; {} to read, {} newly unusable, {} withdrawn",
                    listed.source,
                    grouped(listed.offered),
                    grouped(listed.new),
                    grouped(listed.unusable),
                    grouped(listed.withdrawn),
                ));
            }
            Event::Step(step) => {
                if self.first_step.is_none() {
                    let after = age().unwrap_or_else(|| self.begun.elapsed());
                    self.first_step = Some(after);
                    self.say(&format!("first step {:.2} s after the start", after.as_secs_f64()));
                }
                let at = &mut self.step;
                let now = Instant::now();
                let since = *at.since.get_or_insert(now);
                (at.step, at.pass, at.loss) = (step.step, step.pass, step.score.mean());
                at.targets += step.score.targets;
                let elapsed = now.duration_since(since).as_secs_f64();
                if elapsed > 1.0 {
                    at.words_per_second = at.targets as f64 / elapsed;
                    (at.targets, at.since) = (0, Some(now));
                }
                let moment = Moment { chunks: at.chunk, steps: at.step, at: now };
                if self.screen.is_none() && self.print.is_due(self.told, moment) {
                    self.told = moment;
                    let line = self.training();
                    self.say(&format!("{}/{} documents, {line}", self.account, self.known));
                }
            }
            Event::Chunk(chunk) => {
                self.step.chunk = chunk.chunk + 1;
                self.step.words_per_second = chunk.words_per_second;
                self.say(&format!(
                    "{}chunk {}: {} words, {:.3} bits per character before, loss {:.3} after; {:.0} words/s",
                    called(&chunk.model),
                    chunk.chunk,
                    grouped(chunk.ids),
                    chunk.bits_per_character,
                    chunk.last_pass_loss,
                    chunk.words_per_second,
                ));
            }
            Event::Learnt(_, account) => {
                (self.account, self.words) = (account.entries, account.words);
            }
            Event::Read(_) => {}
            Event::Processes(news) => self.say(&news.to_string()),
            Event::Steered(from, command) => {
                let then = match command {
                    Command::Pause => "; `seseragi resume` has it go on",
                    _ => "",
                };
                self.say(&format!("from epoch {from} on: {command}{then}"));
            }
            Event::Evaluated(held_out) => self.say(&format!(
                "{}held out: {:.3} bits per character, perplexity per word {:.0}",
                called(&held_out.model),
                held_out.evaluation.bits_per_character,
                held_out.evaluation.perplexity_per_word,
            )),
            Event::SetAside(set_aside) => self.say(&format!(
                "{}set aside, the others go on: {}",
                called(&set_aside.model),
                set_aside.why
            )),
            Event::Committed(epoch, stall) => self.say(&format!(
                "committed epoch {epoch}; training stood still for {:.1} ms",
                stall.as_secs_f64() * 1e3
            )),
        }
        self.refresh();
    }

    fn training(&self) -> String {
        let Step { step, chunk, pass, loss, words_per_second, .. } = &self.step;
        format!(
            "{} words learnt; chunk {chunk}, pass {}, step {step}, loss {loss:.3}, \
             {words_per_second:.0} words/s",
            grouped(self.words),
            pass + 1
        )
    }

    fn say(&self, line: &str) {
        match &self.screen {
            Some(bars) => drop(bars.all.println(line)),
            None => say!("{line}"),
        }
    }

    fn refresh(&self) {
        let Some(bars) = &self.screen else { return };
        bars.documents.set_length(self.known);
        bars.documents.set_position(self.account);
        if let Some(client) = self.client.get() {
            let counters = client.counters();
            bars.documents.set_message(format!(
                "learnt, {} fetched; {} requests, {} MB, {} under way",
                grouped(counters.fetched),
                grouped(counters.requests),
                grouped(counters.bytes / 1_000_000),
                counters.in_flight,
            ));
        }
        bars.training.set_message(self.training());
    }

    fn clear(&self) {
        if let Some(bars) = &self.screen {
            bars.documents.finish_and_clear();
            bars.training.finish_and_clear();
        }
    }
}
