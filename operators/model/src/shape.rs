//! The shape of a network, as meant: everything that decides which tensors there are, but for the
//! number of rows, which grows with the vocabulary.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Elman's network with tanh (1990).
    Rnn,
    /// ReLU, started from the identity (Le, Jaitly and Hinton 2015).
    Irnn,
    /// Long short-term memory (Hochreiter and Schmidhuber 1997), with forget gates.
    Lstm,
    /// Gated recurrent unit (Cho et al. 2014), in PyTorch's variant.
    Gru,
}

impl Cell {
    /// How many blocks of `hidden` rows each weight matrix has.
    pub fn gates(self) -> usize {
        match self {
            Cell::Rnn | Cell::Irnn => 1,
            Cell::Gru => 3,
            Cell::Lstm => 4,
        }
    }

    /// How many tensors are carried from column to column: the output, and the LSTM's cell.
    pub fn states(self) -> usize {
        if self == Cell::Lstm { 2 } else { 1 }
    }
}

/// The output layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Softmax {
    /// A logit for every word, every time.
    #[default]
    Full,
    /// Grave et al. 2017: frequent words at full width, the others in clusters, ever narrower.
    Adaptive {
        /// The rows at which clusters begin, ascending; the last has no end.
        cutoffs: Vec<usize>,
        /// How many times narrower each cluster is than the one before it.
        reduction: usize,
    },
}

/// The shape of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// The recurrent cell.
    pub cell: Cell,
    /// How many recurrent layers are stacked.
    pub layers: usize,
    /// Width of each recurrent layer.
    pub hidden: usize,
    /// Width of the embedding; with pretrained vectors, their dimension.
    pub embedding: usize,
    /// Whether the output weights are the embedding itself (Press and Wolf 2017), behind a
    /// projection where `hidden` and `embedding` differ.
    pub tied: bool,
    /// Share of the non-recurrent activations that is zeroed in training (Zaremba et al. 2014):
    /// on the embedding, between the layers, and before the output.
    pub dropout: f64,
    /// What IRNN's first recurrent matrix is, times the identity; other cells take no notice. At 1
    /// (the paper's choice for its long tasks) nothing is forgotten, and a state that is carried on
    /// without end grows without end as soon as training has pushed the matrix beyond the identity;
    /// below 1 it fades (the paper used 0.01 for speech).
    #[serde(default = "whole")]
    pub identity: f64,
    /// The output layer.
    #[serde(default)]
    pub softmax: Softmax,
}

impl Softmax {
    /// Refuses clusters that overlap or have no width.
    fn check(&self) -> Result<(), Error> {
        let Softmax::Adaptive { cutoffs, reduction } = self else { return Ok(()) };
        let ascending = cutoffs.windows(2).all(|pair| pair[0] < pair[1]);
        if cutoffs.is_empty() || cutoffs[0] == 0 || !ascending {
            return Err(Error::Setting {
                name: "model.cutoffs",
                found: format!("{cutoffs:?}"),
                advice: "use one row number or more, above 0 and ascending",
            });
        }
        if *reduction == 0 {
            let (name, found) = ("model.reduction", "0".to_owned());
            return Err(Error::Setting { name, found, advice: "use 1 or more" });
        }
        Ok(())
    }
}

impl std::fmt::Display for Softmax {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Softmax::Full => write!(f, "full"),
            Softmax::Adaptive { cutoffs, reduction } => {
                write!(f, "adaptive (cutoffs {cutoffs:?}, reduction {reduction})")
            }
        }
    }
}

fn whole() -> f64 {
    1.0
}

impl Shape {
    /// Whether a projection lies between the last layer and the output.
    pub fn projects(&self) -> bool {
        self.tied && self.hidden != self.embedding
    }

    /// How wide the features are that the output layer reads.
    pub fn features(&self) -> usize {
        if self.tied { self.embedding } else { self.hidden }
    }

    /// How wide the rows of a cluster are, counted from 0; 1 at least. Of a full softmax, as wide as
    /// the features.
    pub fn narrow(&self, cluster: usize) -> usize {
        let Softmax::Adaptive { reduction, .. } = self.softmax else { return self.features() };
        let divisor =
            u32::try_from(cluster + 1).ok().and_then(|power| reduction.checked_pow(power));
        divisor.map_or(1, |divisor| (self.features() / divisor).max(1))
    }

    /// Refuses shapes that no network can have.
    pub fn check(&self) -> Result<(), Error> {
        let positive = [
            ("model.layers", self.layers),
            ("model.hidden", self.hidden),
            ("model.embedding", self.embedding),
        ];
        for (name, found) in positive {
            if found == 0 {
                let found = found.to_string();
                return Err(Error::Setting { name, found, advice: "use 1 or more" });
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::Setting {
                name: "model.dropout",
                found: self.dropout.to_string(),
                advice: "use 0 or more, and less than 1",
            });
        }
        if !(self.identity > 0.0 && self.identity <= 1.0) {
            return Err(Error::Setting {
                name: "model.identity",
                found: self.identity.to_string(),
                advice: "use a value above 0, up to 1",
            });
        }
        self.softmax.check()
    }
}
