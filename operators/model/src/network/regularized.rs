//! The network as training sees it: with masks drawn over it. Masks come from libtorch's generator,
//! in a fixed order; who calls has seeded it.

use tch::{Kind, Tensor};

use super::recurrent::{Recurrent, State};
use super::{Doing, Error, Network};
use crate::Regularization;

/// What a window gives in training.
#[derive(Debug)]
pub(crate) struct Activations {
    /// What the softmax reads, `[columns, lanes, hidden or embedding]`.
    pub features: Tensor,
    /// The last layer's output, `[columns, lanes, hidden]`.
    output: Tensor,
    /// The same after dropout.
    thinned: Tensor,
    /// After the last column.
    pub state: State,
}

impl Network {
    /// [`Network::features`] in training.
    pub(crate) fn activations(
        &self,
        words: &Tensor,
        state: &State,
        regularization: &Regularization,
    ) -> Result<Activations, Error> {
        let embedded = self.read_thinned(words, regularization.embedding_dropout)?;
        let embedded = self.masked(embedded, regularization)?;
        let (output, state) = self.recurrent.forward_thinned(&embedded, state, regularization)?;
        let thinned = self.masked(output.shallow_clone(), regularization)?;
        let features = match &self.projection {
            Some(weight) => thinned
                .f_linear(weight, None::<&Tensor>)
                .doing("could not project to the embedding's width")?,
            None => thinned.shallow_clone(),
        };
        Ok(Activations { features, output, thinned, state })
    }

    /// The vectors of words, `[columns, lanes, embedding]`, where some words have none.
    fn read_thinned(&self, words: &Tensor, share: f64) -> Result<Tensor, Error> {
        let embedded = Tensor::f_embedding(&self.embedding, words, -1, false, false)
            .doing("could not look the words up")?;
        if share == 0.0 {
            return Ok(embedded);
        }
        // A mask of rows, looked up like them: the table itself is not copied.
        let rows = [self.rows() as i64, 1];
        mask(&rows, share, &embedded)
            .and_then(|rows| embedded.f_mul(&Tensor::f_embedding(&rows, words, -1, false, false)?))
            .doing("could not drop words")
    }

    fn masked(&self, activations: Tensor, how: &Regularization) -> Result<Tensor, Error> {
        if how.locked_dropout && self.shape.dropout > 0.0 {
            return locked(&activations, self.shape.dropout).doing("could not apply dropout");
        }
        self.thinned(activations, true)
    }
}

impl Recurrent {
    /// [`Recurrent::forward`] in training. Weights that are dropped lie apart from the others, so
    /// they are gathered for cuDNN at every step, with a warning each time.
    fn forward_thinned(
        &self,
        input: &Tensor,
        state: &State,
        how: &Regularization,
    ) -> Result<(Tensor, State), Error> {
        let dropped = match how.weight_drop {
            0.0 => None,
            share => Some(self.dropped(share).doing("could not drop recurrent weights")?),
        };
        let weights = dropped.as_deref().unwrap_or(self.weights());
        let (layers, dropout) = (self.shape().layers, self.shape().dropout);
        if !how.locked_dropout || dropout == 0.0 || layers == 1 {
            return self.run(input, state, weights, true);
        }
        // The fused layers draw a mask for each place, so here they run one by one.
        let mut output = input.shallow_clone();
        let mut states = Vec::with_capacity(layers);
        for (layer, weights) in weights.chunks_exact(4).enumerate() {
            if layer > 0 {
                output = locked(&output, dropout).doing("could not apply dropout")?;
            }
            let state = self.run(&output, &state.layer(layer), weights, true)?;
            output = state.0;
            states.push(state.1);
        }
        Ok((output, State::stacked(&states)))
    }

    /// The weights, with a share of each recurrent matrix zeroed and the rest made up for it.
    fn dropped(&self, share: f64) -> Result<Vec<Tensor>, tch::TchError> {
        let weights = self.weights().iter().enumerate().map(|(place, weight)| match place % 4 {
            1 => weight.f_dropout(share, true),
            _ => Ok(weight.shallow_clone()),
        });
        weights.collect()
    }
}

impl Activations {
    /// What the loss of a target is burdened with, on average; nothing where no factor is set.
    ///
    /// Means are over all places, those too that pad the last lane of a chunk.
    pub fn burden(&self, how: &Regularization) -> Result<Option<Tensor>, Error> {
        let square = |activations: &Tensor, factor: f64| {
            activations.f_square()?.f_mean(Kind::Float)?.f_mul_scalar(factor)
        };
        let mut burdens = Vec::new();
        if how.activation > 0.0 {
            burdens.push(square(&self.thinned, how.activation));
        }
        let columns = self.output.size()[0];
        // One column changes from nothing: a mean of none would be no number.
        if how.temporal_activation > 0.0 && columns > 1 {
            let change =
                self.output.narrow(0, 1, columns - 1) - self.output.narrow(0, 0, columns - 1);
            burdens.push(square(&change, how.temporal_activation));
        }
        let burdens: Result<Vec<Tensor>, _> = burdens.into_iter().collect();
        let burdens = burdens.doing("could not regularize the activations")?;
        Ok(burdens.into_iter().reduce(|sum, burden| sum + burden))
    }
}

/// Ones, of which a share is zero and the rest made up for it; on the device of `like`.
fn mask(size: &[i64], share: f64, like: &Tensor) -> Result<Tensor, tch::TchError> {
    Tensor::f_ones(size, (Kind::Float, like.device()))?.f_dropout(share, true)
}

/// Dropout with one mask for all columns of `[columns, lanes, width]`.
fn locked(activations: &Tensor, share: f64) -> Result<Tensor, tch::TchError> {
    let size = activations.size();
    activations.f_mul(&mask(&[1, size[1], size[2]], share, activations)?)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::network::host;
    use crate::{Cell, NewRow, Shape, Vectors};

    fn network(cell: Cell, dropout: f64) -> Network {
        let shape = Shape {
            cell,
            layers: 2,
            hidden: 6,
            embedding: 4,
            tied: true,
            dropout,
            identity: 1.0,
            softmax: crate::Softmax::Full,
        };
        let mut network = Network::new(&shape, Vectors::Tuned, 3, Device::Cpu).expect("a shape");
        let unknown = NewRow { vector: None, parts: &[] };
        network.append_rows(&[unknown; 40], 3, false).expect("unknown words need nothing");
        network
    }

    /// Its values column by column.
    fn columns(tensor: &Tensor) -> Vec<Vec<f32>> {
        (0..tensor.size()[0]).map(|column| host(&tensor.get(column))).collect()
    }

    #[test]
    fn locked_dropout_has_one_mask_for_all_columns_and_plain_dropout_has_not() {
        let network = network(Cell::Lstm, 0.5);
        let ones = Tensor::ones([7, 3, 20], (Kind::Float, Device::Cpu));
        let found = |locked_dropout| {
            let how = Regularization { locked_dropout, ..Default::default() };
            columns(&network.masked(ones.shallow_clone(), &how).expect("CPU"))
        };
        let locked = found(true);
        assert!(locked.iter().all(|column| *column == locked[0]), "{locked:?}");
        assert!(locked[0].iter().all(|&x| x == 0.0 || x == 2.0), "{locked:?}"); // 1 / (1 - 0.5)
        assert_ne!(locked[0][..20], locked[0][20..40]); // each lane has its own
        let plain = found(false);
        assert!(plain.iter().any(|column| *column != plain[0]), "{plain:?}");
    }

    #[test]
    fn layers_run_one_by_one_as_they_do_together() {
        // So small a share that nothing is dropped, and 1 / (1 - share) is 1.
        let how = Regularization { locked_dropout: true, ..Default::default() };
        let words = Tensor::from_slice(&[3i64, 1, 4, 1, 5, 9, 2, 6, 5, 3]).view([5, 2]);
        for cell in [Cell::Rnn, Cell::Irnn, Cell::Lstm, Cell::Gru] {
            let network = network(cell, 1e-12);
            let state = State::zeros(network.shape(), 2, Device::Cpu);
            let (_, state) = network.features(&words, &state, false).expect("CPU");
            let (features, together) = network.features(&words, &state, false).expect("CPU");
            let apart = network.activations(&words, &state, &how).expect("CPU");
            let pairs = together.0.iter().zip(&apart.state.0).chain([(&features, &apart.features)]);
            for (together, apart) in pairs {
                let difference = (together - apart).abs().max().double_value(&[]);
                assert!(difference < 1e-6, "{cell:?}: {difference}");
            }
        }
    }

    #[test]
    fn embedding_dropout_takes_whole_words_wherever_they_stand() {
        let network = network(Cell::Gru, 0.0);
        let twice: Vec<i64> = (0..40).chain(0..40).collect();
        let found = network.read_thinned(&Tensor::from_slice(&twice).view([80, 1]), 0.25);
        let found = columns(&found.expect("CPU"));
        let rows = columns(&network.embedding);
        let mut dropped = 0;
        for (word, row) in rows.iter().enumerate() {
            assert_eq!(found[word], found[word + 40]);
            if found[word].iter().all(|&x| x == 0.0) {
                dropped += 1;
            } else {
                let kept = found[word].iter().zip(row).all(|(x, w)| (x - w / 0.75).abs() < 1e-6);
                assert!(kept, "{:?} is not {row:?} / 0.75", found[word]);
            }
        }
        assert!((1..30).contains(&dropped), "{dropped} of 40 words");
    }

    #[test]
    fn weight_drop_thins_the_recurrent_matrices_alone_and_their_gradients_with_them() {
        let network = network(Cell::Lstm, 0.0);
        let weights = network.recurrent.weights();
        let dropped = network.recurrent.dropped(0.5).expect("CPU");
        for (place, (weight, dropped)) in weights.iter().zip(&dropped).enumerate() {
            if place % 4 != 1 {
                assert_eq!(host(weight), host(dropped));
                continue;
            }
            let gradient =
                Tensor::run_backward(&[dropped.sum(Kind::Float)], &[weight], false, false);
            let (weight, dropped, gradient) = (host(weight), host(dropped), host(&gradient[0]));
            let zeros = dropped.iter().filter(|&&x| x == 0.0).count();
            assert!((30..114).contains(&zeros), "{zeros} of 144 weights");
            for ((w, d), g) in weight.iter().zip(&dropped).zip(&gradient) {
                assert!((*d == 0.0 && *g == 0.0) || (*d == w * 2.0 && *g == 2.0), "{w} {d} {g}");
            }
        }
    }

    #[test]
    fn activations_burden_the_loss_as_the_formulas_say() {
        let tensor = |values: &[f32]| Tensor::from_slice(values).view([-1, 1, 1]);
        let of = |output: &[f32], thinned: &[f32], activation, temporal_activation| {
            let activations = Activations {
                features: tensor(thinned),
                output: tensor(output),
                thinned: tensor(thinned),
                state: State(Vec::new()),
            };
            let how = Regularization { activation, temporal_activation, ..Default::default() };
            activations.burden(&how).expect("CPU").map(|burden| burden.double_value(&[]))
        };
        let (output, thinned) = ([1.0, 3.0, 6.0], [2.0, 0.0, 4.0]);
        assert_eq!(of(&output, &thinned, 0.0, 0.0), None);
        assert_eq!(of(&output, &thinned, 3.0, 0.0), Some(20.0)); // 3 · (4 + 0 + 16) / 3
        assert_eq!(of(&output, &thinned, 0.0, 2.0), Some(13.0)); // 2 · (2² + 3²) / 2
        assert_eq!(of(&output, &thinned, 3.0, 2.0), Some(33.0));
        assert_eq!(of(&[1.0], &[2.0], 3.0, 2.0), Some(12.0)); // nothing has changed yet
    }
}
