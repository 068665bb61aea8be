//! Turns entries into pages: each entry gives a page or a reject, in whatever order they come.
//!
//! An epoch stays open until each of its entries has been answered, because every entry keeps
//! capabilities for both outputs. Transient trouble is tried again inside; what cannot be had is a
//! reject; fatal trouble raises the alarm and keeps the capabilities, so that it never looks like
//! progress. Once the alarm is raised, by whomever, nothing here moves any more.
//!
//! The entries stay on the worker that they came to (`route` sends them there), queued in order.
//! The limits on requests are the client's, over all workers that share it.

mod cache;
mod client;
mod connect;
mod count;
mod exchange;
mod guard;
mod host;
mod inquiries;
mod local;
mod pace;
mod permits;
mod retry;
mod robots;
mod settings;
mod trouble;

use std::rc::Rc;

use timely::{
    container::DrainContainer,
    dataflow::{
        channels::pact::Pipeline,
        operators::{
            Capability,
            generic::{OutputBuilder, builder_rc::OperatorBuilder},
        },
    },
    progress::operate::FrontierInterest,
};
use tokio::runtime::Handle;

pub use client::{Client, Fetched};
pub use count::Counters;
pub use guard::is_private_literal;
pub use settings::{ClientError, Revalidate, Settings};
pub use trouble::{Failure, Fault, Refusal, Trouble};

use crate::{
    Batches, Epoch,
    batch::{Batch, Builder},
    fault::Alarm,
    record::{Entry, Page, PageRow, Reject, RejectRow, Stage},
};
use inquiries::Inquiries;
pub use url::{Origin, Url};

/// Fetches the pages of entries.
pub trait Fetch<'scope> {
    /// The page of each entry, or the reason why there is none, one a batch, routed as the entry
    /// was.
    ///
    /// ```
    /// use operators::{
    ///     batch::{Batch, Builder},
    ///     fault::Alarm,
    ///     fetch::{Client, Fetch, Settings},
    ///     record::Entry,
    /// };
    /// use timely::dataflow::operators::{Probe, core::Input};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = tokio::runtime::Runtime::new()?;
    /// let client = Client::new(&Settings { contact: "you@example.org".into(), ..Settings::default() })?;
    /// let (handle, alarm) = (runtime.handle().clone(), Alarm::new());
    /// timely::execute_directly(move |worker| {
    ///     let (mut entries, probe) = worker.dataflow(|scope| {
    ///         let (entries, stream) = scope.new_input_with_builder::<Builder<Entry>>();
    ///         let (pages, _rejects) = stream.fetch(&client, &handle, &alarm);
    ///         (entries, pages.probe().0)
    ///     });
    ///     entries.send(Batch::of(0, [Entry { url: "file:///no/such/page".into(), ..Entry::default() }]));
    ///     entries.close();
    ///     // The epoch closes when the entry has been answered, with a reject in this case.
    ///     while !probe.done() {
    ///         worker.step_or_park(None);
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    fn fetch(
        self,
        client: &Client,
        runtime: &Handle,
        alarm: &Alarm,
    ) -> (Batches<'scope, Page>, Batches<'scope, Reject>);
}

/// An entry that was asked for.
struct Ticket {
    entry: Entry,
    route: u64,
    // For a page and for a reject; the entry's epoch stays open while they are held.
    capabilities: Rc<(Capability<Epoch>, Capability<Epoch>)>,
}

impl<'scope> Fetch<'scope> for Batches<'scope, Entry> {
    fn fetch(
        self,
        client: &Client,
        runtime: &Handle,
        alarm: &Alarm,
    ) -> (Batches<'scope, Page>, Batches<'scope, Reject>) {
        let scope = self.scope();
        let mut operator = OperatorBuilder::new("Fetch".to_owned(), scope);
        let mut input = operator.new_input(self, Pipeline);
        operator.set_notify_for(0, FrontierInterest::Never);
        let (pages, page_stream) = operator.new_output();
        let (rejects, reject_stream) = operator.new_output();
        let mut pages = OutputBuilder::<_, Builder<Page>>::from(pages);
        let mut rejects = OutputBuilder::<_, Builder<Reject>>::from(rejects);

        let address = operator.operator_info().address;
        let from_elsewhere = scope.worker().sync_activator_for(address.to_vec());
        let again = scope.activator_for(address);
        // It fails when the worker is gone, and then nobody needs waking.
        let wake = move || {
            let _ = from_elsewhere.activate();
        };
        let mut inquiries = Inquiries::new(client.clone(), runtime.clone(), wake);
        // Tickets that met fatal trouble, held for good.
        let mut stuck = Vec::new();
        let alarm = alarm.clone();

        operator.build(move |initial| {
            drop(initial);
            move |_frontiers| {
                if alarm.raised().is_some() {
                    return;
                }
                input.for_each(|capability, batches| {
                    // Entries are stamped with their epoch, which is what we are to keep open.
                    let retained = capability.retain_least(0).zip(capability.retain_least(1));
                    let capabilities = Rc::new(retained.expect("entries have an epoch"));
                    for batch in batches.drain() {
                        for entry in batch.iter() {
                            let (address, route) = (entry.url.clone(), batch.route);
                            let capabilities = Rc::clone(&capabilities);
                            inquiries.push(Ticket { entry, route, capabilities }, address);
                        }
                    }
                });
                inquiries.ask();
                let (mut pages, mut rejects) = (pages.activate(), rejects.activate());
                while let Some((ticket, answer)) = inquiries.take() {
                    let is_page = answer.is_ok();
                    match answer {
                        Ok(page) => {
                            let rows =
                                Page::taking(&page_of(ticket.entry, &page), page.body.clone());
                            let session = &mut pages.session(&ticket.capabilities.0);
                            session.give(Batch::from_rows(ticket.route, rows));
                        }
                        Err(Trouble::Refused(refusal)) => {
                            let reason = refusal.to_string();
                            let session = &mut rejects.session(&ticket.capabilities.1);
                            session
                                .give(Batch::of(ticket.route, [reject_of(&ticket.entry, &reason)]));
                        }
                        Err(Trouble::Fatal(fault)) => {
                            alarm.raise("fetch", fault);
                            stuck.push(ticket);
                            return;
                        }
                    }
                    inquiries.ask();
                    // A page at a time, however many have come: the stages that follow are done with
                    // it before the next one needs room.
                    if is_page {
                        break;
                    }
                }
                if inquiries.has_answers() {
                    again.activate();
                }
            }
        });
        (page_stream, reject_stream)
    }
}

fn page_of(entry: Entry, page: &Fetched) -> PageRow<'_> {
    PageRow {
        entry,
        content: page.content(),
        media: &page.media,
        charset: page.charset.as_deref(),
        body: &page.body,
    }
}

fn reject_of<'a>(entry: &Entry, reason: &'a str) -> RejectRow<'a> {
    RejectRow { entry: entry.clone(), stage: Stage::Fetch, reason }
}
