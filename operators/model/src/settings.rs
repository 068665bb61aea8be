//! What a trainer is told, as meant: nothing optional is left open here.

use serde::{Deserialize, Serialize};

use crate::{Clip, Error, Optimizer, Precision, Regularization, Schedule, Shape};

/// What becomes of pretrained vectors. Words without one are learnt in every case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vectors {
    /// Rows start from vectors and stay there. With tied output weights the output's rows stay too.
    Frozen,
    /// Rows start from vectors and learn.
    Tuned,
    /// Vectors are not used.
    Learned,
}

/// How a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The network's shape.
    pub shape: Shape,
    /// What becomes of pretrained vectors.
    pub vectors: Vectors,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The learning rate of each step.
    pub schedule: Schedule,
    /// How gradients are clipped.
    pub clip: Clip,
    /// How many lanes a chunk is cut into.
    pub batch: usize,
    /// How many columns a window has at most: how far back gradients reach.
    pub sequence: usize,
    /// How many sweeps are made over each chunk.
    pub passes: u32,
    /// In what precision a step computes.
    #[serde(default)]
    pub precision: Precision,
    /// The share that the running average of the weights keeps at each step; 0 for no average.
    #[serde(default)]
    pub average: f64,
    /// What keeps it from learning by heart, beside the shape's dropout.
    #[serde(default)]
    pub regularization: Regularization,
}

impl Settings {
    /// Refuses settings that make no sense.
    pub fn check(&self) -> Result<(), Error> {
        self.shape.check()?;
        self.optimizer.check()?;
        self.schedule.check()?;
        self.clip.check()?;
        self.regularization.check()?;
        let positive = [
            ("train.batch", self.batch),
            ("train.sequence", self.sequence),
            ("train.passes", self.passes as usize),
        ];
        for (name, found) in positive {
            if found == 0 {
                let found = found.to_string();
                return Err(Error::Setting { name, found, advice: "use 1 or more" });
            }
        }
        if !(0.0..1.0).contains(&self.average) {
            let (name, found) = ("train.average", self.average.to_string());
            return Err(Error::Setting { name, found, advice: "use 0 or more, and less than 1" });
        }
        Ok(())
    }

    /// Whether a step draws masks: then its loss is not the model's, and the generator matters.
    pub(crate) fn draws(&self) -> bool {
        let Regularization { embedding_dropout, weight_drop, .. } = self.regularization;
        self.shape.dropout > 0.0 || embedding_dropout > 0.0 || weight_drop > 0.0
    }
}
