//! Draws the entries of an epoch from the sources that take part in it: no I/O, no clock.
//!
//! A source with a **weight** is drawn from by that weight. Sources without one are read in turn, each
//! from its first entry to its last, endless ones after the others, and together they have the weight
//! 1; so a job that gives no weight reads its sources one after another. A source that has nothing left leaves its share to the
//! others. Shares are of entries.
//!
//! Which source gives entry `n` of the run is a pure function of (seed, `n`, the weights of those that
//! have entries left): the golden-ratio sequence `frac(offset(seed) + n · φ)` falls into one of their
//! shares. It spreads evenly (Kronecker's sequence; Niederreiter 1992, §3.2), so not only the whole but
//! every stretch of some dozens of entries has about the shares asked for; drawn independently, forty
//! entries at equal weights would often be ten to thirty. As nothing is remembered, a run that is broken
//! anywhere goes on with the same draws.
//!
//! **When things arrive does not matter.** An epoch is drawn once it is known whether each source that
//! ends has an entry for it. Endless sources take part with what they have offered so far, which is for
//! the caller to write down: it is the only thing here that depends on time.

use std::collections::VecDeque;

use crate::Epoch;

/// What an epoch has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drawn<T> {
    /// Its entries, at least one.
    Slice(Vec<T>),
    /// Nothing, nor have the epochs before this later one, from which on more sources take part.
    Later(Epoch),
    /// Nothing that is known yet.
    Waiting,
    /// Nothing, and no epoch after it has anything unless a source is attached.
    Ended,
}

/// How a source takes part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// Its share beside the other weights, above 0; without one it is read in turn.
    pub weight: Option<f64>,
    /// The first epoch that it takes part in.
    pub from: Epoch,
    /// Whether it may go on offering for ever, so that no epoch waits for it.
    pub is_endless: bool,
}

/// A source of a mixture, by the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member(usize);

struct Source<T> {
    part: Part,
    // The first epoch that it takes no part in any more.
    until: Option<Epoch>,
    // It will never offer anything more.
    has_ended: bool,
    queue: VecDeque<T>,
}

/// The sources of a run and what each has to give.
pub struct Mixture<T> {
    seed: u64,
    size: usize,
    sources: Vec<Source<T>>,
}

/// Which source gives an entry.
enum Choice {
    From(usize),
    // A source that ends may have an entry that is not here yet.
    Unknown,
    Nothing,
}

impl<T> Mixture<T> {
    /// A mixture without sources, for epochs of `size` entries, at least one.
    pub fn new(seed: u64, size: usize) -> Self {
        Self { seed, size: size.max(1), sources: Vec::new() }
    }

    /// Adds a source. Those without a weight are read in the order in which they were added.
    pub fn add(&mut self, part: Part) -> Member {
        let (until, has_ended, queue) = (None, false, VecDeque::new());
        self.sources.push(Source { part, until, has_ended, queue });
        Member(self.sources.len() - 1)
    }

    /// Queues what a source offers.
    pub fn offer(&mut self, member: Member, entries: impl IntoIterator<Item = T>) {
        self.sources[member.0].queue.extend(entries);
    }

    /// Notes that a source will offer nothing more.
    pub fn end(&mut self, member: Member) {
        self.sources[member.0].has_ended = true;
    }

    /// From `epoch` on nothing more is drawn from a source.
    pub fn remove(&mut self, member: Member, epoch: Epoch) {
        self.sources[member.0].until = Some(epoch);
    }

    /// Whether a source takes part in `epoch`.
    pub fn takes_part(&self, member: Member, epoch: Epoch) -> bool {
        self.sources[member.0].takes_part(epoch)
    }

    /// Whether what `epoch` has can depend on when things arrive.
    pub fn is_open_ended(&self, epoch: Epoch) -> bool {
        self.sources.iter().any(|source| source.takes_part(epoch) && source.is_open_ended())
    }

    /// The entries of `epoch`, the first of which is entry `first` of the run. Where endless sources
    /// take part, a slice that is not full is given only when the caller is `idle`: else it waits
    /// for more.
    pub fn draw(&mut self, epoch: Epoch, first: u64, idle: bool) -> Drawn<T> {
        for source in &mut self.sources {
            if source.until.is_some_and(|until| until <= epoch) {
                source.queue.clear();
            }
        }
        // Chosen first and taken afterwards, so that an epoch is drawn whole or not at all.
        let mut taken = vec![0; self.sources.len()];
        let mut chosen = Vec::with_capacity(self.size);
        while chosen.len() < self.size {
            match self.choose(epoch, first + chosen.len() as u64, &taken) {
                Choice::From(source) => {
                    taken[source] += 1;
                    chosen.push(source);
                }
                Choice::Unknown => return Drawn::Waiting,
                Choice::Nothing => break,
            }
        }
        let is_full = chosen.len() == self.size;
        if !is_full && self.is_open_ended(epoch) && (chosen.is_empty() || !idle) {
            return Drawn::Waiting;
        }
        if chosen.is_empty() {
            let coming = self.sources.iter().filter(|source| source.until.is_none());
            let next = coming.map(|source| source.part.from).filter(|from| *from > epoch).min();
            return next.map_or(Drawn::Ended, Drawn::Later);
        }
        let mut take = |source: usize| self.sources[source].queue.pop_front();
        Drawn::Slice(chosen.into_iter().map(|s| take(s).expect("it was counted")).collect())
    }

    /// Who gives entry `number`, when so many were taken from each source already.
    fn choose(&self, epoch: Epoch, number: u64, taken: &[usize]) -> Choice {
        let mut shares: Vec<(f64, usize)> = Vec::new();
        // Whose turn it is among those without a weight is settled once one of them can give.
        let mut is_someones_turn = false;
        let is_after = |part: &Part| part.weight.is_none() && part.is_endless;
        let all = self.sources.iter().enumerate();
        let (last, first): (Vec<_>, Vec<_>) = all.partition(|(_, source)| is_after(&source.part));
        for (index, source) in first.into_iter().chain(last) {
            let in_turn = source.part.weight.is_none();
            if !source.takes_part(epoch) || (in_turn && is_someones_turn) {
                continue;
            }
            if source.queue.len() > taken[index] {
                shares.push((source.part.weight.unwrap_or(1.0), index));
                is_someones_turn |= in_turn;
            } else if !source.has_ended && !source.part.is_endless {
                return Choice::Unknown;
            }
        }
        let whole: f64 = shares.iter().map(|(weight, _)| weight).sum();
        let mut point = self.point(number) * whole;
        for (weight, index) in &shares {
            point -= weight;
            if point < 0.0 {
                return Choice::From(*index);
            }
        }
        // Rounding may leave a little at the end.
        shares.last().map_or(Choice::Nothing, |(_, index)| Choice::From(*index))
    }

    /// From 0 to below 1. In 64-bit fractions, so that no entry is too far out to be exact.
    fn point(&self, number: u64) -> f64 {
        /// 2⁶⁴ · (φ - 1), odd.
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        // SplitMix64's finalizer (Steele, Lea and Flood 2014): neighbouring seeds begin far apart.
        let mut offset = self.seed.wrapping_add(GOLDEN);
        offset = (offset ^ (offset >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        offset = (offset ^ (offset >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        offset ^= offset >> 31;
        let fraction = offset.wrapping_add(number.wrapping_mul(GOLDEN));
        (fraction >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl<T> Source<T> {
    fn takes_part(&self, epoch: Epoch) -> bool {
        self.part.from <= epoch && self.until.is_none_or(|until| epoch < until)
    }

    fn is_open_ended(&self) -> bool {
        self.part.is_endless && !self.has_ended
    }
}

#[cfg(test)]
mod tests;
