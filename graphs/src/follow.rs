//! The part of a job that another process than the owner's does: everything before the weir.

use std::sync::{Arc, atomic::AtomicBool};

use operators::{
    Epoch,
    catalogue::Slicing,
    extract::Extractor,
    fault::Alarm,
    route::{Loads, Sites},
};
use timely::dataflow::Scope;

use crate::{
    control::Helm,
    drive::{self, Lexicon, Reins},
    error::RunError,
    job::Job,
    listing,
    peers::{
        Hello, Mesh, PeersError, Place,
        follower::{Begun, Charge, Follower},
        meet,
    },
    river::{Spring, Tools},
    training::training,
};

/// Does this process's part of a job, until the owner's process says that it is over.
///
/// # Errors
/// If the processes do not find together, one of them fails, or the owner's is lost.
pub fn follow(job: &Job, place: &Place, reins: &Reins) -> Result<(), RunError> {
    let lexicon = Lexicon::open(job)?;
    let (runtime, client, alarm) = (drive::runtime()?, drive::client(job)?, Alarm::new());
    let _one_job_a_rein = reins.client.set(client.clone());
    let unread = |source| RunError::System { doing: "read the file of vectors", source };
    let hello = Hello::of(job, place, &lexicon.dictionary).map_err(unread)?;
    let (follower, begun, workers, links) = runtime.block_on(async {
        let met = meet(place, hello, 0, &reins.events, &reins.drain).await?;
        let [(_, line)]: [_; 1] = met.lines.try_into().expect("one line, to the owner's process");
        let (follower, begun) = Follower::begin(place, line, runtime.handle()).await?;
        Ok::<_, PeersError>((follower, begun, met.workers, met.links))
    })?;

    let rules = Arc::new(listing::rules(job)?);
    for source in &begun.attached {
        let rule = Extractor::new(&listing::rule(source));
        // The owner has read it by the same rule.
        let rule = rule.map_err(|bad| RunError::Stage(format!("extract: {bad}")))?;
        rules.insert(source.name(), rule);
    }
    begun.permitted.iter().for_each(|site| client.permit_site(site.clone()));
    let Begun { first, .. } = begun;
    let helm = Helm::new(job, None, first, Arc::clone(&reins.drain), reins.events.clone());
    helm.gauges().expect(place.process, workers);
    let charge = Charge {
        rules: Arc::clone(&rules),
        alarm: alarm.clone(),
        gauges: helm.gauges().clone(),
        client: client.clone(),
        stop: Arc::new(AtomicBool::new(false)),
        drain: Arc::clone(&reins.drain),
    };
    let tools = Tools {
        slicing: Slicing { first, in_flight: job.flow.epochs_in_flight },
        helm,
        client,
        runtime: runtime.handle().clone(),
        alarm: alarm.clone(),
        rules,
        dictionary: lexicon.dictionary,
        vectors: lexicon.vectors,
        // The owner's: whoever asks this process to end is told of there.
        drain: Arc::default(),
        // Only the owner asks which process asks a site, but every worker must build the same stages.
        sites: Sites::among(place.processes(), workers, false, |_| false),
        loads: Loads::of(place.process, workers),
    };
    let on_loss = follower.on_loss(runtime.handle(), &alarm);
    let mesh = Mesh { process: place.process, links, on_loss };
    let admission = job.vocabulary.into();
    let build = move |scope: Scope<'_, Epoch>, tools, _: Option<Spring>| {
        training(scope, &tools, admission, None)
    };
    follower.attend(begun, &charge, runtime.handle());
    let threads = drive::start(workers, Some(mesh), tools, None, build, Arc::clone(&charge.stop))?;
    let woken = charge.gauges;
    alarm.listen(move || woken.wake_workers());
    for worker in threads.join() {
        worker.map_err(RunError::Stage)?;
    }
    let ended = runtime.block_on(async {
        match alarm.raised().map(RunError::raised) {
            Some(RunError::Stage(reason)) => {
                follower.fail(reason.clone()).await;
                Err(RunError::Stage(reason))
            }
            Some(lost) => Err(lost),
            None => follower.outcome().await.map_err(RunError::from),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    ended
}
