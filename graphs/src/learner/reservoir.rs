//! What was learnt before, to be learnt again beside what is new.
//!
//! A model that goes on with other text forgets. Against that a share of each chunk is replayed from
//! a **reservoir**: segments of the run's own stream, each as likely to be kept as any other
//! (algorithm R, Vitter 1985). Whether a segment is kept, and which are replayed with a chunk, are
//! pure functions of (seed, stream), so a run that is broken anywhere replays the same. The reservoir
//! fills from the beginning; it is drawn from once the run has met an attached source, or always.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use arrow_array::{
    ArrayRef, RecordBatch, StringArray, UInt64Array,
    builder::{ListBuilder, UInt32Builder},
    cast::AsArray,
    types::{UInt32Type, UInt64Type},
};

use crate::{
    checkpoint::State,
    job::{Replay, ReplayFrom},
    ledger::{Fate, Line},
};

/// A piece of what was learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The source of its first word.
    pub source: Arc<str>,
    /// The chunk that it was learnt in.
    pub chunk: u64,
    /// Its ids.
    pub ids: Arc<[u32]>,
}

/// Segments of everything that was learnt, each as likely to be here as any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservoir {
    /// Those that were kept.
    pub segments: Vec<Segment>,
    /// How many there were in all.
    pub seen: u64,
}

impl Reservoir {
    /// As a batch, for a checkpoint.
    pub fn encode(&self) -> RecordBatch {
        let mut ids = ListBuilder::new(UInt32Builder::new());
        for segment in &self.segments {
            ids.values().append_slice(&segment.ids);
            ids.append(true);
        }
        let sources = self.segments.iter().map(|segment| &*segment.source);
        let chunks = self.segments.iter().map(|segment| segment.chunk);
        let batch = RecordBatch::try_from_iter([
            ("source", Arc::new(StringArray::from_iter_values(sources)) as ArrayRef),
            ("chunk", Arc::new(UInt64Array::from_iter_values(chunks))),
            ("ids", Arc::new(ids.finish())),
        ])
        .expect("columns of equal length");
        let schema = batch.schema().as_ref().clone();
        let seen: HashMap<String, String> = [(SEEN.to_owned(), self.seen.to_string())].into();
        batch.with_schema(Arc::new(schema.with_metadata(seen))).expect("the same columns")
    }

    /// Reads what [`Self::encode`] wrote; `None` if the batch is something else.
    pub fn decode(batch: &RecordBatch) -> Option<Self> {
        let seen = batch.schema().metadata().get(SEEN)?.parse().ok()?;
        let sources = batch.column_by_name("source")?.as_string_opt::<i32>()?;
        let chunks = batch.column_by_name("chunk")?.as_primitive_opt::<UInt64Type>()?;
        let ids = batch.column_by_name("ids")?.as_list_opt::<i32>()?;
        let segment = |row: usize| {
            Some(Segment {
                source: sources.value(row).into(),
                chunk: chunks.value(row),
                ids: ids.value(row).as_primitive_opt::<UInt32Type>()?.values().as_ref().into(),
            })
        };
        let segments = (0..batch.num_rows()).map(segment).collect::<Option<_>>()?;
        Some(Self { segments, seen })
    }
}

/// Under this name the written reservoir says how many segments there were in all.
const SEEN: &str = "seen";

/// Where words came from: a source and how many ids, in the stream's order.
pub type Origins = Vec<(Arc<str>, usize)>;

impl Reservoir {
    /// Takes in a chunk that was learnt: whole segments of `replay.segment_words` ids.
    pub fn remember(
        &mut self,
        seed: u64,
        replay: &Replay,
        chunk: u64,
        ids: &[u32],
        origins: &Origins,
    ) {
        let mut origins = origins.iter();
        let mut current = origins.next();
        let mut through = current.map_or(0, |(_, ids)| *ids);
        for (index, ids) in ids.chunks_exact(replay.segment_words).enumerate() {
            while through <= index * replay.segment_words && current.is_some() {
                current = origins.next();
                through += current.map_or(0, |(_, ids)| *ids);
            }
            let source = current.map_or_else(|| "".into(), |(source, _)| Arc::clone(source));
            let place = match self.segments.len() < replay.segments {
                true => self.segments.len(),
                false => (mixed(seed, self.seen, 0) % (self.seen + 1)) as usize,
            };
            self.seen += 1;
            if place >= replay.segments {
                continue;
            }
            let segment = Segment { source, chunk, ids: ids.into() };
            match self.segments.get_mut(place) {
                Some(kept) => *kept = segment,
                None => self.segments.push(segment),
            }
        }
    }

    /// The ids to learn again beside a chunk of `words` ids: `replay.share` of that, in whole
    /// segments, from other sources than the chunk's own where there are such.
    pub fn draw(
        &self,
        seed: u64,
        replay: &Replay,
        chunk: u64,
        words: usize,
        origins: &Origins,
    ) -> Vec<u32> {
        let count = (replay.share * words as f64 / replay.segment_words as f64).round() as usize;
        let is_other = |segment: &Segment| origins.iter().all(|(own, _)| *own != segment.source);
        let mut drawn: Vec<(bool, u64, &Segment)> = self
            .segments
            .iter()
            .zip(0..)
            .map(|(segment, place)| (!is_other(segment), mixed(seed, chunk, place), segment))
            .collect();
        drawn.sort_unstable_by_key(|(is_own, hash, _)| (*is_own, *hash));
        drawn.iter().take(count).flat_map(|(_, _, segment)| segment.ids.iter().copied()).collect()
    }
}

/// Where the words come from that wait for their chunk, and which sources the model has met.
#[derive(Debug)]
pub struct Provenance {
    // Of those whose words are pending, in order.
    pending: VecDeque<(Arc<str>, usize)>,
    // Sources of words that are in chunks.
    met: BTreeSet<Arc<str>>,
    // Those that the job was started with.
    own: BTreeSet<Arc<str>>,
}

impl Provenance {
    /// As a commit left it. `own` are the sources of the job file; any other was attached.
    pub fn of<'a>(state: &State, next_chunk: u64, own: impl IntoIterator<Item = &'a str>) -> Self {
        let learnt = |line: &&Line| line.fate == Fate::Learnt;
        let mut pending = VecDeque::new();
        let mut waiting = state.pending.len();
        for line in state.ledger.iter().rev().filter(learnt) {
            if waiting == 0 {
                break;
            }
            let ids = waiting.min(line.ids as usize);
            pending.push_front((Arc::from(line.entry.source.as_str()), ids));
            waiting -= ids;
        }
        let in_chunks = state.ledger.iter().filter(learnt).filter(|line| line.chunk < next_chunk);
        let met = in_chunks.map(|line| line.entry.source.as_str()).collect::<BTreeSet<_>>();
        Self {
            pending,
            met: met.into_iter().map(Arc::from).collect(),
            own: own.into_iter().map(Arc::from).collect(),
        }
    }

    /// Notes words that wait for their chunk.
    pub fn wait(&mut self, source: &str, ids: usize) {
        match self.pending.back_mut() {
            Some((last, waiting)) if **last == *source => *waiting += ids,
            _ => self.pending.push_back((source.into(), ids)),
        }
    }

    /// Takes the origins of the next `words` ids, which are learnt now. Also says whether the model
    /// meets an attached source in them for the first time.
    pub fn take(&mut self, words: usize) -> (Origins, bool) {
        let (mut origins, mut left) = (Origins::new(), words);
        while left > 0
            && let Some((source, waiting)) = self.pending.front_mut()
        {
            let ids = left.min(*waiting);
            origins.push((Arc::clone(source), ids));
            *waiting -= ids;
            left -= ids;
            if *waiting == 0 {
                self.pending.pop_front();
            }
        }
        let mut meets_another = false;
        for (source, _) in &origins {
            let is_new = self.met.insert(Arc::clone(source));
            meets_another |= is_new && !self.own.contains(source);
        }
        (origins, meets_another)
    }

    /// Whether what was learnt before is to be learnt again by now.
    pub fn replays(&self, from: ReplayFrom) -> bool {
        match from {
            ReplayFrom::Always => true,
            ReplayFrom::Attach => self.met.iter().any(|source| !self.own.contains(source)),
        }
    }
}

/// A number that is a function of these three: SplitMix64's finalizer (Steele, Lea and Flood 2014),
/// once for each.
fn mixed(seed: u64, number: u64, place: u64) -> u64 {
    [seed, number, place].into_iter().fold(0, |hash, part| {
        let mut z = (hash ^ part).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPLAY: Replay =
        Replay { share: 0.25, segments: 100, segment_words: 8, from: ReplayFrom::Attach };

    /// A stream of chunks of 64 ids, each id its place; the first half of one source.
    fn filled(seed: u64, chunks: u64) -> Reservoir {
        let mut reservoir = Reservoir::default();
        for chunk in 0..chunks {
            let ids: Vec<u32> = (chunk as u32 * 64..(chunk as u32 + 1) * 64).collect();
            let source = if chunk < chunks / 2 { "old" } else { "new" };
            reservoir.remember(seed, &REPLAY, chunk, &ids, &vec![(source.into(), 64)]);
        }
        reservoir
    }

    proptest! {
        #[test]
        fn every_part_of_the_stream_is_as_likely_to_be_kept(seed: u64) {
            let reservoir = filled(seed, 1000);
            prop_assert_eq!((reservoir.segments.len(), reservoir.seen), (100, 8000));
            let old = reservoir.segments.iter().filter(|s| &*s.source == "old").count();
            prop_assert!((20..=80).contains(&old), "{old} of 100"); // 50 ± 6 σ
            for segment in &reservoir.segments {
                let first = segment.ids[0];
                prop_assert!(segment.ids.iter().copied().eq(first..first + 8));
                prop_assert_eq!(segment.chunk, u64::from(first) / 64);
            }
        }
    }

    #[test]
    fn a_share_is_replayed_from_other_sources_and_another_one_with_each_chunk() {
        let reservoir = filled(5, 1000);
        let own = vec![("new".into(), 640)];
        let drawn = reservoir.draw(5, &REPLAY, 7, 640, &own);
        assert_eq!(drawn.len(), 160); // a quarter
        assert!(drawn.iter().all(|id| *id < 32_000), "of the first half");
        assert_eq!(drawn, reservoir.draw(5, &REPLAY, 7, 640, &own));
        assert_ne!(drawn, reservoir.draw(5, &REPLAY, 8, 640, &own));
        assert_ne!(drawn, reservoir.draw(6, &REPLAY, 7, 640, &own));
        // Where there is no other, its own; and never more than there is.
        let both = vec![("new".into(), 320), ("old".into(), 320)];
        assert_eq!(reservoir.draw(5, &REPLAY, 7, 640, &both).len(), 160);
        assert_eq!(reservoir.draw(5, &REPLAY, 7, 1 << 20, &own).len(), 800);
        assert_eq!(Reservoir::default().draw(5, &REPLAY, 7, 640, &own), [0; 0]);
    }

    #[test]
    fn a_reservoir_comes_back_as_it_was_written() {
        for reservoir in [Reservoir::default(), filled(5, 3), filled(5, 100)] {
            assert_eq!(Reservoir::decode(&reservoir.encode()), Some(reservoir));
        }
    }

    #[test]
    fn a_segment_has_the_source_of_its_first_word() {
        let mut reservoir = Reservoir::default();
        let ids: Vec<u32> = (0..32).collect();
        let origins = vec![("a".into(), 8), ("b".into(), 9), ("c".into(), 15)];
        reservoir.remember(1, &REPLAY, 0, &ids, &origins);
        let sources: Vec<&str> = reservoir.segments.iter().map(|s| &*s.source).collect();
        assert_eq!(sources, ["a", "b", "b", "c"]);
    }

    #[test]
    fn an_attached_source_is_met_once_and_replay_begins_there() {
        let mut provenance = Provenance::of(&State::default(), 0, ["own"]);
        provenance.wait("own", 10);
        provenance.wait("own", 5);
        provenance.wait("attached", 9);
        let (origins, meets) = provenance.take(12);
        assert_eq!((origins, meets), (vec![("own".into(), 12)], false));
        assert!(!provenance.replays(ReplayFrom::Attach) && provenance.replays(ReplayFrom::Always));
        let (origins, meets) = provenance.take(6);
        assert_eq!((origins, meets), (vec![("own".into(), 3), ("attached".into(), 3)], true));
        assert!(provenance.replays(ReplayFrom::Attach));
        assert!(!provenance.take(6).1, "it was met already");
    }
}
