//! The entries that an operator has asked for: asynchronous outside, a queue inside.
//!
//! An entry goes in with a ticket, which stays on the operator's thread (it holds capabilities);
//! every ticket comes out exactly once, with the page or with the trouble, in the order in which
//! the answers came. That holds even where the runtime is shut down or a fetch panics: the trouble
//! is a fault then. Dropping the inquiries ends what is under way.

use std::{collections::HashMap, collections::VecDeque, sync::Arc};

use crossbeam_channel::{Receiver, Sender};
use tokio::{runtime::Handle, task::JoinSet};

use super::{
    client::{Client, Fetched},
    trouble::{Fault, Trouble},
};

/// How many entries may be asked for, for each request that may be under way. More than one,
/// because those whose site makes them wait must not hold up those of other sites.
const ASKED_PER_REQUEST: usize = 4;

type Answer = (u64, Result<Fetched, Trouble>);
type Wake = Arc<dyn Fn() + Send + Sync>;

/// Entries that wait, and entries that were asked for.
pub struct Inquiries<T> {
    client: Client,
    runtime: Handle,
    // Called from other threads whenever an answer has come.
    wake: Wake,
    // Not asked for yet, in order of arrival.
    waiting: VecDeque<(T, String)>,
    // Asked for, by number.
    asked: HashMap<u64, T>,
    next: u64,
    // Aborts what is under way when it is dropped.
    tasks: JoinSet<()>,
    // One place for each that is asked for, so that sending never blocks the runtime.
    sender: Sender<Answer>,
    answers: Receiver<Answer>,
    limit: usize,
}

impl<T> Inquiries<T> {
    /// No inquiries yet; `wake` is called from other threads whenever an answer has come.
    pub fn new(client: Client, runtime: Handle, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let limit = ASKED_PER_REQUEST * client.in_flight_limit();
        let (sender, answers) = crossbeam_channel::bounded(limit);
        Self {
            client,
            runtime,
            wake: Arc::new(wake),
            waiting: VecDeque::new(),
            asked: HashMap::new(),
            next: 0,
            tasks: JoinSet::new(),
            sender,
            answers,
            limit,
        }
    }

    /// Puts an entry's address into the queue.
    pub fn push(&mut self, ticket: T, address: String) {
        self.waiting.push_back((ticket, address));
    }

    /// Asks for as many as may be asked for at once.
    pub fn ask(&mut self) {
        // Without this the finished ones would pile up.
        while self.tasks.try_join_next().is_some() {}
        while self.asked.len() < self.limit
            && let Some((ticket, address)) = self.waiting.pop_front()
        {
            let number = self.next;
            self.next += 1;
            self.asked.insert(number, ticket);
            let (sender, wake) = (self.sender.clone(), Arc::clone(&self.wake));
            let promise = Promise { number, sender, wake, kept: false };
            let client = self.client.clone();
            let inquiry = async move { promise.keep(client.get_address(&address).await) };
            self.tasks.spawn_on(inquiry, &self.runtime);
        }
    }

    /// Whether an answer has come that was not taken.
    pub fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The next answer that has come, with its ticket.
    pub fn take(&mut self) -> Option<(T, Result<Fetched, Trouble>)> {
        let (number, result) = self.answers.try_recv().ok()?;
        let ticket = self.asked.remove(&number).expect("every promise is kept once");
        Some((ticket, result))
    }
}

/// An answer that will be sent, come what may.
struct Promise {
    number: u64,
    sender: Sender<Answer>,
    wake: Wake,
    kept: bool,
}

impl Promise {
    fn keep(mut self, result: Result<Fetched, Trouble>) {
        self.send(result);
    }

    fn send(&mut self, result: Result<Fetched, Trouble>) {
        self.kept = true;
        // The channel has a place for it, unless the operator is gone and nobody wants it.
        let _ = self.sender.try_send((self.number, result));
        (self.wake)();
    }
}

impl Drop for Promise {
    // The runtime drops what it will not finish; a panic drops it too.
    fn drop(&mut self) {
        if !self.kept {
            self.send(Err(Fault::Abandoned.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::settings::Settings, *};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("one")
    }

    // Waits for all answers; sorted, because they come in any order.
    fn answers(
        inquiries: &mut Inquiries<usize>,
        woken: &Receiver<()>,
        count: usize,
    ) -> Vec<(usize, String)> {
        let mut answers = Vec::new();
        while answers.len() < count {
            inquiries.ask();
            while let Some((ticket, result)) = inquiries.take() {
                answers.push((ticket, result.expect_err("there is no such thing").to_string()));
            }
            if answers.len() < count {
                woken.recv().expect("the inquiries wake us");
            }
        }
        answers.sort();
        answers
    }

    #[test]
    fn every_ticket_comes_out_once_with_its_own_answer_however_many_there_are() {
        let runtime = runtime();
        let client = Client::new(&Settings { in_flight: 1, ..Settings::default() }).expect("one");
        let (wake, woken) = crossbeam_channel::unbounded();
        let woke = move || wake.send(()).unwrap_or_default();
        let mut inquiries = Inquiries::new(client, runtime.handle().clone(), woke);
        for number in 0..100 {
            inquiries.push(number, format!("kind{number}:x"));
        }
        let answers = answers(&mut inquiries, &woken, 100);
        for (number, (ticket, answer)) in answers.into_iter().enumerate() {
            assert_eq!(ticket, number);
            assert!(answer.contains(&format!("`kind{number}:`")), "{answer}");
        }
        assert!(inquiries.take().is_none());
    }

    #[test]
    fn a_runtime_that_is_shut_down_answers_with_a_fault() {
        let runtime = runtime();
        let handle = runtime.handle().clone();
        drop(runtime);
        let (wake, woken) = crossbeam_channel::unbounded();
        let client = Client::new(&Settings::default()).expect("a client");
        let mut inquiries =
            Inquiries::new(client, handle, move || wake.send(()).unwrap_or_default());
        inquiries.push(0, "https://example.org/".to_owned());
        let answers = answers(&mut inquiries, &woken, 1);
        assert_eq!(answers, [(0, Fault::Abandoned.to_string())]);
    }
}
