//! What a network says of a passage word by word, and its vectors: for others to check and to use.

use tch::{Reduction, Tensor};

use crate::error::Doing;
use crate::network::{State, host};
use crate::{DOCUMENT, Error, Network};

/// Words of a window: bounds memory at this times the vocabulary.
const COLUMNS: usize = 512;

impl Network {
    /// ln p of each word given those before it, from a fresh state; the first is predicted from the
    /// document mark. As many as there are words.
    ///
    /// # Errors
    /// If a word has no row, or libtorch fails.
    pub fn log_probabilities(&self, words: &[u32]) -> Result<Vec<f32>, Error> {
        self.check_words(words)?;
        let mut before = DOCUMENT;
        let mut state = State::zeros(self.shape(), 1, self.device());
        let mut log_probabilities = Vec::with_capacity(words.len());
        tch::no_grad(|| {
            for window in words.chunks(COLUMNS) {
                let targets: Vec<i64> = window.iter().map(|word| i64::from(*word)).collect();
                let mut inputs = targets.clone();
                inputs.rotate_right(1);
                inputs[0] = i64::from(before);
                before = *window.last().expect("windows are not empty");
                let inputs = Tensor::from_slice(&inputs).view([-1, 1]).to_device(self.device());
                let targets = self.targets(&targets)?;
                let (features, next) = self.features(&inputs, &state, false)?;
                state = next;
                let nats = self.nats(&features, &targets, Reduction::None)?.reshape([-1]);
                let nats = Vec::<f32>::try_from(nats).doing("could not read the losses")?;
                log_probabilities.extend(nats.iter().map(|nats| -nats));
            }
            Ok(log_probabilities)
        })
    }

    /// The input embedding, `[rows, embedding]`, row after row.
    pub fn vectors(&self) -> Vec<f32> {
        let parameters = self.parameters();
        let embedding = parameters.iter().find(|parameter| parameter.name == "embedding.weight");
        host(embedding.expect("every network has an embedding").tensor)
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::{Cell, NewRow, Shape, Softmax, Vectors};

    #[test]
    fn a_passage_word_by_word_adds_up_to_its_score() {
        let shape = Shape {
            cell: Cell::Lstm,
            layers: 2,
            hidden: 12,
            embedding: 8,
            tied: true,
            dropout: 0.5,
            identity: 1.0,
            softmax: Softmax::Full,
        };
        let mut network = Network::new(&shape, Vectors::Learned, 3, Device::Cpu).expect("a shape");
        let row = NewRow { vector: None, parts: &[] };
        network.append_rows(&[row; 20], 3, false).expect("rows");
        // More than two windows, so that the state must have been carried.
        let words: Vec<u32> = (0..1200_u32).map(|place| place * place % 20).collect();
        let each = network.log_probabilities(&words).expect("known words");
        assert_eq!(each.len(), words.len());
        let sum: f64 = each.iter().map(|each| -f64::from(*each)).sum();
        let score = network.score(&words).expect("known words").nats;
        assert!((sum - score).abs() < 1e-4 * score, "{sum} is not {score}");
        let start = network.log_probabilities(&words[..7]).expect("known words");
        assert!(start.iter().zip(&each).all(|(one, other)| (one - other).abs() < 1e-5));
        assert!(network.log_probabilities(&[20]).is_err(), "it has no row");
        assert_eq!(network.vectors().len(), 20 * 8);
    }
}
