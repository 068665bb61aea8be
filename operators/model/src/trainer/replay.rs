//! Old text beside new: words that are trained on again in lanes of their own, within the windows
//! of a chunk, so that each step mixes the two.

use tch::{Device, Tensor};

use super::{State, placed, places};
use crate::layout::{IGNORED, Window, lay_out};
use crate::{DOCUMENT, Error, Network, Settings, Targets};

/// What a trainer is given to learn at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Material<'a> {
    /// The words of the chunk.
    pub words: &'a [u32],
    /// Words of earlier text that are learnt again beside them: counted neither in the prequential
    /// loss nor among the words learnt. May be empty; then they change no bit.
    pub replayed: &'a [u32],
}

impl<'a, T: AsRef<[u32]> + ?Sized> From<&'a T> for Material<'a> {
    /// A chunk with nothing beside it.
    fn from(words: &'a T) -> Material<'a> {
        Material { words: words.as_ref(), replayed: &[] }
    }
}

/// The lanes of replayed words, as long as the chunk's own.
pub(super) struct Replay {
    /// `[columns, lanes]`
    pub inputs: Tensor,
    /// Each window's.
    pub targets: Vec<Targets>,
    /// Where the lanes stand: from zero at the beginning of each sweep, and never carried on.
    pub state: State,
    /// How many targets each window has here.
    pub counts: Vec<usize>,
    lanes: usize,
}

impl Replay {
    /// Lays `words` out in as few lanes as have room for all of them in `columns` columns. What is
    /// left of the lanes is padded behind: their last states are of no use to anybody.
    pub fn lay_out(
        words: &[u32],
        columns: usize,
        windows: &[Window],
        settings: &Settings,
        network: &Network,
    ) -> Result<Option<Replay>, Error> {
        if words.is_empty() {
            return Ok(None);
        }
        let lanes = words.len().div_ceil(columns);
        let mut layout = lay_out(words, DOCUMENT, lanes, settings.sequence);
        layout.inputs.resize(columns * lanes, i64::from(DOCUMENT));
        layout.targets.resize(columns * lanes, IGNORED);
        let places = places(windows, lanes);
        let counts = places.iter().map(|places| {
            let targets = &layout.targets[places.clone()];
            targets.iter().filter(|&&target| target != IGNORED).count()
        });
        let device = network.device();
        Ok(Some(Replay {
            counts: counts.collect(),
            inputs: placed(&layout.inputs, lanes, device)?,
            targets: network.target_windows(&layout.targets, &places)?,
            state: State::zeros(&settings.shape, lanes, device),
            lanes,
        }))
    }

    /// Forgets the sweep before.
    pub fn begin(&mut self, settings: &Settings, device: Device) {
        self.state = State::zeros(&settings.shape, self.lanes, device);
    }

    /// How many lanes there are.
    pub fn lanes(&self) -> i64 {
        self.lanes as i64
    }
}
