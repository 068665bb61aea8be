//! The main job's dataflow: from the web to the learner.

use std::sync::Mutex;

use crossbeam_channel::{bounded, unbounded};
use operators::{
    Epoch,
    admit::Admit,
    chunk::{CutChunks, Cutter},
    train::{Desk, Train},
    vocabulary::{Admission, Vocabulary},
    wake::Waker,
};
use timely::dataflow::{ProbeHandle, Scope};

use crate::{
    drive::{Lexicon, Past, Reins, drive},
    error::RunError,
    job::Job,
    learner::Seat,
    river::{OWNER, Spring, Tools, follow, river},
};

/// Lessons between the sink and the learner.
const LESSONS: usize = 8;

/// What only the owner has: both ends of the river, and what an earlier run left.
pub struct Owned {
    /// Where the entries come from.
    pub spring: Spring,
    /// The way to the learner.
    pub desk: Desk,
    /// Words known already.
    pub vocabulary: Vocabulary,
    /// Ids waiting already.
    pub cutter: Cutter,
}

/// Builds the dataflow. `owned` is `Some` on [`OWNER`]; the probe follows the learner.
pub fn training(
    scope: Scope<'_, Epoch>,
    tools: &Tools,
    admission: Admission,
    owned: Option<Owned>,
) -> ProbeHandle<Epoch> {
    let learnt = ProbeHandle::new();
    let drain = tools.drain.clone();
    let waker = owned.as_ref().map(|owned| owned.spring.listing.waker.clone());
    let (spring, desk, vocabulary, cutter) = match owned {
        Some(Owned { spring, desk, vocabulary, cutter }) => {
            (Some(spring), Some(desk), vocabulary, Some(cutter))
        }
        None => (None, None, Vocabulary::default(), None),
    };

    let (words, rejects) = river(scope, tools, spring, &learnt);
    let lessons = words.admit(vocabulary, admission).chunk(cutter, drain);
    follow(lessons.train(rejects, OWNER, desk), &learnt, tools.helm.gauges(), waker);
    learnt
}

/// What the dataflow goes on from.
pub(crate) struct Before {
    /// What the river must know of earlier runs.
    pub past: Past,
    /// Words known already.
    pub vocabulary: Vocabulary,
    /// Ids waiting already.
    pub cutter: Cutter,
}

/// Runs the dataflow while `attend` takes its lessons.
pub(crate) fn train<T: Send>(
    job: &Job,
    reins: &Reins,
    lexicon: Lexicon,
    before: Before,
    attend: impl FnOnce(&Seat) -> Result<T, RunError> + Send,
) -> Result<T, RunError> {
    let (lessons, attended) = bounded(LESSONS);
    let (learnt, acknowledged) = unbounded();
    let desk = Desk { lessons, learnt: acknowledged, waker: Waker::default() };
    let waker = desk.waker.clone();
    let Before { past, vocabulary, cutter } = before;
    let admission = job.vocabulary.into();
    let ours = Mutex::new(Some((desk, vocabulary, cutter)));
    let build = move |scope: Scope<'_, Epoch>, tools, spring: Option<Spring>| {
        let owned = spring.map(|spring| {
            let mut ours = ours.lock().expect("only the owner takes it");
            let (desk, vocabulary, cutter) = ours.take().expect("there is one owner");
            Owned { spring, desk, vocabulary, cutter }
        });
        training(scope, &tools, admission, owned)
    };
    drive(job, reins, lexicon, past, build, move |alarm| {
        attend(&Seat { lessons: attended, learnt, waker, alarm: alarm.clone() })
    })
}
