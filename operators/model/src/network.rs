//! The network: words in, the probabilities of the next word out.
//!
//! An embedding (one row a word), stacked recurrent layers, and a softmax over all words, full or
//! adaptive, whose weights are the embedding itself or tables of their own. Rows are only ever appended; existing
//! ones are touched by training alone. Shapes are libtorch's sequence-first: words
//! `[columns, lanes]`.

mod recurrent;
mod regularized;
mod rows;
mod softmax;

#[cfg(test)]
mod tests;

use std::ops::Range;

use tch::{Device, Kind, Reduction, Tensor};

use crate::error::{Doing, Error};
use crate::settings::Vectors;
use crate::shape::Shape;
use recurrent::Recurrent;
pub use recurrent::State;
use rows::Beginning;
use softmax::Output;
pub use softmax::Targets;

/// A word to make a row for.
#[derive(Clone, Copy, Debug)]
pub struct NewRow<'a> {
    /// Its pretrained vector, as wide as the embedding, where there is one.
    pub vector: Option<&'a [f32]>,
    /// The ids of its characters, all smaller than its own; may be empty.
    pub parts: &'a [u32],
}

/// A tensor that training changes.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// Its name in `model.safetensors`. Those of the recurrent layers are PyTorch's, prefixed by
    /// `recurrent.`.
    pub name: String,
    /// The tensor.
    pub tensor: &'a Tensor,
    /// Whether weight decay applies: to the matrices that every word passes through, not to biases,
    /// and not to rows of words, which would fade while their word does not occur.
    pub decays: bool,
}

/// An embedding, recurrent layers and a softmax.
#[derive(Debug)]
pub struct Network {
    shape: Shape,
    vectors: Vectors,
    device: Device,
    /// `[rows, embedding]`
    embedding: Tensor,
    recurrent: Recurrent,
    /// `[embedding, hidden]`, where tied and the two differ.
    projection: Option<Tensor>,
    output: Output,
    /// `[rows, 1]`: 0 for rows from frozen vectors, else 1. Only where vectors are frozen.
    learnable: Option<Tensor>,
}

impl Network {
    /// A fresh network, without rows. First values are functions of (seed, name), and drawn on the
    /// CPU, so they are the same on every device.
    pub fn new(
        shape: &Shape,
        vectors: Vectors,
        seed: u64,
        device: Device,
    ) -> Result<Network, Error> {
        shape.check()?;
        let (embedding, hidden) = (shape.embedding as i64, shape.hidden as i64);
        let projection = shape.projects().then(|| {
            let mut generator = crate::seed::generator(seed, "projection.weight", 0);
            let bound = 1.0 / (shape.hidden as f32).sqrt();
            let values: Vec<f32> = (0..shape.hidden * shape.embedding)
                .map(|_| crate::seed::around_zero(&mut generator, bound))
                .collect();
            let weight = Tensor::from_slice(&values).view([embedding, hidden]);
            weight.to_device(device).set_requires_grad(true)
        });
        Ok(Network {
            shape: shape.clone(),
            vectors,
            device,
            embedding: Tensor::zeros([0, embedding], (Kind::Float, device)).set_requires_grad(true),
            recurrent: Recurrent::new(shape, seed, device)?,
            projection,
            output: Output::new(shape, seed, device),
            learnable: (vectors == Vectors::Frozen)
                .then(|| Tensor::zeros([0, 1], (Kind::Float, device))),
        })
    }

    /// The shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Where the tensors are.
    pub fn device(&self) -> Device {
        self.device
    }

    /// How many words it knows.
    pub fn rows(&self) -> usize {
        self.embedding.size()[0] as usize
    }

    /// Refuses words that have no row.
    pub fn check_words(&self, words: &[u32]) -> Result<(), Error> {
        let rows = self.rows();
        match words.iter().max() {
            Some(&word) if word as usize >= rows => Err(Error::UnknownWord { word, rows }),
            _ => Ok(()),
        }
    }

    /// What training changes, in a fixed order.
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        let mut parameters = vec![parameter("embedding.weight", &self.embedding, false)];
        let names = recurrent::sizes(&self.shape).into_iter().map(|(name, _)| name);
        for (name, tensor) in names.zip(self.recurrent.weights()) {
            let decays = name.starts_with("weight");
            parameters.push(parameter(&format!("recurrent.{name}"), tensor, decays));
        }
        let projection = self.projection.iter();
        parameters.extend(projection.map(|weight| parameter("projection.weight", weight, true)));
        parameters.extend(self.output.parameters());
        parameters
    }

    /// Which rows learn: `[rows, 1]` of 0 and 1, or nothing where all do.
    pub(crate) fn learnable(&self) -> Option<&Tensor> {
        self.learnable.as_ref()
    }

    /// Puts tensors read from a file in place of the fresh ones. `take` gives the tensor of a name
    /// with the size that is passed to it, where -1 stands for the number of rows.
    pub(crate) fn replace(
        &mut self,
        mut take: impl FnMut(&str, &[i64]) -> Result<Tensor, Error>,
    ) -> Result<(), Error> {
        let (embedding, hidden) = (self.shape.embedding as i64, self.shape.hidden as i64);
        let device = self.device;
        let mut placed = |name: &str, size: &[i64]| {
            take(name, size)?.f_to_device(device).doing("could not move a tensor to its device")
        };
        let learning = |tensor: Tensor| tensor.set_requires_grad(true);
        self.embedding = learning(placed("embedding.weight", &[-1, embedding])?);
        let weights = recurrent::sizes(&self.shape)
            .into_iter()
            .map(|(name, size)| placed(&format!("recurrent.{name}"), &size))
            .collect::<Result<Vec<_>, _>>()?;
        self.recurrent = Recurrent::from_weights(&self.shape, weights, device)?;
        if self.projection.is_some() {
            self.projection = Some(learning(placed("projection.weight", &[embedding, hidden])?));
        }
        self.output.replace(self.embedding.size()[0] as usize, placed)
    }

    /// How many rows of the embedding the softmax reads: those that come first.
    pub(crate) fn shared_rows(&self) -> usize {
        if self.shape.tied { self.output.head_rows(self.rows()) } else { 0 }
    }

    /// Puts another table in place of the embedding, for one who knows which of its rows are which:
    /// the softmax reads the first [`Network::shared_rows`].
    pub(crate) fn replace_embedding(&mut self, table: &Tensor) {
        self.embedding = table.set_requires_grad(true);
    }

    /// Puts back which rows learn.
    pub(crate) fn replace_learnable(&mut self, learnable: &Tensor) {
        self.learnable = Some(learnable.to_device(self.device));
    }

    /// Appends a row for each new word, in order of their ids. `learnt` says whether training has
    /// begun: then new words start from a low output bias, and unknown ones from the mean row.
    ///
    /// Tables are reallocated to their exact new size: what a kernel computes may depend on sizes,
    /// so there must be no capacity that one history has and another lacks.
    pub fn append_rows(
        &mut self,
        new: &[NewRow<'_>],
        seed: u64,
        learnt: bool,
    ) -> Result<(), Error> {
        if new.is_empty() {
            return Ok(());
        }
        let vectors = self.vectors;
        let vector = |row: &NewRow<'_>| row.vector.is_some() && vectors != Vectors::Learned;
        let beginnings: Vec<Beginning<'_>> = new
            .iter()
            .map(|row| match row.vector {
                Some(vector) if vectors != Vectors::Learned => Beginning::Vector(vector),
                _ => Beginning::Parts(row.parts),
            })
            .collect();
        // All that can be refused is refused here, before anything is changed.
        let embedding = grown(&self.embedding, &beginnings, learnt, (seed, "embedding.weight"))?;
        let output = self.output.grown(&embedding, new, learnt, seed)?;
        if let Some(learnable) = &self.learnable {
            let fresh: Vec<f32> = new.iter().map(|row| f32::from(!vector(row))).collect();
            let fresh = Tensor::from_slice(&fresh).view([-1, 1]).to_device(self.device);
            self.learnable = Some(Tensor::cat(&[learnable, &fresh], 0));
        }
        self.embedding = embedding;
        self.output = output;
        Ok(())
    }

    /// Reads words `[columns, lanes]` from `state` on. Gives the features that the softmax reads,
    /// `[columns, lanes, hidden or embedding]`, and the state after the last column.
    pub fn features(
        &self,
        words: &Tensor,
        state: &State,
        train: bool,
    ) -> Result<(Tensor, State), Error> {
        let embedded = self.thinned(self.embedded(words)?, train)?;
        let (output, state) = self.recurrent.forward(&embedded, state, train)?;
        let output = self.thinned(output, train)?;
        Ok((self.projected(output)?, state))
    }

    /// The embedding's rows of words.
    pub(crate) fn embedded(&self, words: &Tensor) -> Result<Tensor, Error> {
        Tensor::f_embedding(&self.embedding, words, -1, false, false)
            .doing("could not look the words up")
    }

    /// The features that the last layer's output gives.
    pub(crate) fn projected(&self, output: Tensor) -> Result<Tensor, Error> {
        match &self.projection {
            Some(weight) => output
                .f_linear(weight, None::<&Tensor>)
                .doing("could not project to the embedding's width"),
            None => Ok(output),
        }
    }

    /// The recurrent layers with their weights on the CPU, which do not learn there.
    pub(crate) fn recurrent_on_cpu(&self) -> Result<Recurrent, Error> {
        let weights = self.recurrent.weights().iter().map(|weight| weight.detach().copy());
        Recurrent::from_weights(&self.shape, weights.collect(), Device::Cpu)
    }

    /// Each layer's recurrent matrix, `[gates · hidden, hidden]`.
    pub(crate) fn recurrent_matrices(&self) -> impl Iterator<Item = &Tensor> {
        self.recurrent.weights().iter().skip(1).step_by(4)
    }

    /// The logits of every word, `[places, rows]`, from features `[places, width]`. Those of an
    /// adaptive softmax are the logarithms of the probabilities, which are logits too.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor, Error> {
        self.output.logits(&self.embedding, features)
    }

    /// Brings targets to the device: words, or [`crate::layout::IGNORED`]. They hold until rows are
    /// appended.
    pub fn targets(&self, targets: &[i64]) -> Result<Targets, Error> {
        let all = 0..targets.len();
        Ok(self.target_windows(targets, std::slice::from_ref(&all))?.remove(0))
    }

    /// As [`Network::targets`], for each window of `targets` its own, in one transfer.
    pub fn target_windows(
        &self,
        targets: &[i64],
        windows: &[Range<usize>],
    ) -> Result<Vec<Targets>, Error> {
        self.output.target_windows(targets, windows, self.device)
    }

    /// The loss of each target in nats, `[places]`, 0 where it is [`crate::layout::IGNORED`]; with
    /// [`Reduction::Sum`] their sum. Places are those of the features, `[.., width]`, in their order.
    pub fn nats(
        &self,
        features: &Tensor,
        targets: &Targets,
        reduction: Reduction,
    ) -> Result<Tensor, Error> {
        let width = *features.size().last().expect("features have a width");
        self.output.nats(&self.embedding, &features.reshape([-1, width]), targets, reduction)
    }

    /// Applies dropout in training.
    fn thinned(&self, activations: Tensor, train: bool) -> Result<Tensor, Error> {
        if !train || self.shape.dropout == 0.0 {
            return Ok(activations);
        }
        activations.f_dropout(self.shape.dropout, true).doing("could not apply dropout")
    }
}

fn parameter<'a>(name: &str, tensor: &'a Tensor, decays: bool) -> Parameter<'a> {
    Parameter { name: name.to_owned(), tensor, decays }
}

/// A float32 tensor's elements.
pub(crate) fn host(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![0.0; tensor.numel()];
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    tensor.copy_data(&mut values, tensor.numel());
    values
}

fn grown(
    table: &Tensor,
    beginnings: &[Beginning<'_>],
    learnt: bool,
    seed: (u64, &str),
) -> Result<Tensor, Error> {
    let width = table.size()[1];
    let mut values = host(table);
    let old = values.len();
    rows::extend(&mut values, width as usize, beginnings, learnt, seed)?;
    let new = Tensor::from_slice(&values[old..]).view([-1, width]).to_device(table.device());
    Ok(appended(table, new))
}

fn appended(table: &Tensor, new: Tensor) -> Tensor {
    tch::no_grad(|| Tensor::cat(&[table.detach(), new], 0)).set_requires_grad(true)
}
