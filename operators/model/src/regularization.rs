//! What keeps a network from learning its text by heart, as in AWD-LSTM (Merity et al. 2018), beside
//! the plain dropout of [`crate::Shape::dropout`]. All of it is off by default: one pass over much
//! text has little to fear.

use serde::{Deserialize, Serialize};

use crate::Error;

/// How training is hindered and its loss burdened. Scores are free of all this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Regularization {
    /// Whether dropout draws one mask for all columns of a window, a lane each (Gal and Ghahramani
    /// 2016), instead of one for each place.
    pub locked_dropout: bool,
    /// Share of the words whose vector is zero throughout a window where they are read; as output
    /// weights it stays (Gal and Ghahramani 2016).
    pub embedding_dropout: f64,
    /// Share of each recurrent matrix that is zeroed, the same for all columns of a window
    /// (DropConnect, Wan et al. 2013).
    pub weight_drop: f64,
    /// α of activation regularization: the loss grows by α times the mean square of the last
    /// layer's output, after dropout (Merity et al. 2017).
    pub activation: f64,
    /// β of temporal activation regularization: the loss grows by β times the mean square of that
    /// output's change from column to column, before dropout.
    pub temporal_activation: f64,
}

impl Regularization {
    /// Refuses shares that leave nothing, and burdens that reward.
    pub fn check(&self) -> Result<(), Error> {
        let shares = [
            ("model.embedding_dropout", self.embedding_dropout),
            ("model.weight_drop", self.weight_drop),
        ];
        for (name, found) in shares {
            if !(0.0..1.0).contains(&found) {
                let advice = "use 0 or more, and less than 1";
                return Err(Error::Setting { name, found: found.to_string(), advice });
            }
        }
        let factors = [
            ("train.activation_regularization", self.activation),
            ("train.temporal_activation_regularization", self.temporal_activation),
        ];
        for (name, found) in factors {
            if !(found >= 0.0 && found.is_finite()) {
                let (found, advice) = (found.to_string(), "use 0 or more");
                return Err(Error::Setting { name, found, advice });
            }
        }
        Ok(())
    }
}
