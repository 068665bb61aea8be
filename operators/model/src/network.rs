//! The network: words in, the probabilities of the next word out.
//!
//! An embedding (one row a word), stacked recurrent layers, and a softmax over all words whose
//! weights are the embedding itself or a table of their own. Rows are only ever appended; existing
//! ones are touched by training alone. Shapes are libtorch's sequence-first: words
//! `[columns, lanes]`.

mod recurrent;
mod rows;

#[cfg(test)]
mod tests;

use tch::{Device, Kind, Reduction, Tensor};

use crate::error::{Doing, Error};
use crate::layout::IGNORED;
use crate::settings::Vectors;
use crate::shape::Shape;
use recurrent::Recurrent;
pub use recurrent::State;
use rows::Beginning;

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
    /// `[rows, hidden]`, where not tied.
    output: Option<Tensor>,
    /// `[rows]`
    bias: Tensor,
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
        let parameter =
            |size: &[i64]| Tensor::zeros(size, (Kind::Float, device)).set_requires_grad(true);
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
            embedding: parameter(&[0, embedding]),
            recurrent: Recurrent::new(shape, seed, device)?,
            projection,
            output: (!shape.tied).then(|| parameter(&[0, hidden])),
            bias: parameter(&[0]),
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
        let projection = self.projection.iter().map(|weight| ("projection.weight", weight, true));
        let output = self.output.iter().map(|weight| ("output.weight", weight, false));
        let bias = [("output.bias", &self.bias, false)];
        let rest = projection.chain(output).chain(bias);
        parameters.extend(rest.map(|(name, tensor, decays)| parameter(name, tensor, decays)));
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
        if self.output.is_some() {
            self.output = Some(learning(placed("output.weight", &[-1, hidden])?));
        }
        self.bias = learning(placed("output.bias", &[-1])?);
        Ok(())
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
        let parts: Vec<Beginning<'_>> = new.iter().map(|row| Beginning::Parts(row.parts)).collect();
        let beginnings: Vec<Beginning<'_>> = new
            .iter()
            .map(|row| match row.vector {
                Some(vector) if vectors != Vectors::Learned => Beginning::Vector(vector),
                _ => Beginning::Parts(row.parts),
            })
            .collect();
        // All that can be refused is refused here, before anything is changed.
        let embedding = grown(&self.embedding, &beginnings, learnt, (seed, "embedding.weight"))?;
        let output = match &self.output {
            Some(output) => Some(grown(output, &parts, learnt, (seed, "output.weight"))?),
            None => None,
        };
        let mut bias = host(&self.bias);
        let old = bias.len();
        rows::extend_bias(&mut bias, new.len(), learnt);
        let bias = Tensor::from_slice(&bias[old..]).to_device(self.device);
        if let Some(learnable) = &self.learnable {
            let fresh: Vec<f32> = new.iter().map(|row| f32::from(!vector(row))).collect();
            let fresh = Tensor::from_slice(&fresh).view([-1, 1]).to_device(self.device);
            self.learnable = Some(Tensor::cat(&[learnable, &fresh], 0));
        }
        self.bias = appended(&self.bias, bias);
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
        let embedded = Tensor::f_embedding(&self.embedding, words, -1, false, false)
            .doing("could not look the words up")?;
        let embedded = self.thinned(embedded, train)?;
        let (output, state) = self.recurrent.forward(&embedded, state, train)?;
        let output = self.thinned(output, train)?;
        let features = match &self.projection {
            Some(weight) => output
                .f_linear(weight, None::<&Tensor>)
                .doing("could not project to the embedding's width")?,
            None => output,
        };
        Ok((features, state))
    }

    /// The logits of every word, `[places, rows]`, from features `[places, width]`.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor, Error> {
        let weight = self.output.as_ref().unwrap_or(&self.embedding);
        features.f_linear(weight, Some(&self.bias)).doing("could not compute the logits")
    }

    /// The loss of each target in nats, `[places]`, 0 where it is [`IGNORED`]; with
    /// [`Reduction::Sum`] their sum. Here an adaptive softmax will have its place.
    pub fn nats(
        &self,
        features: &Tensor,
        targets: &Tensor,
        reduction: Reduction,
    ) -> Result<Tensor, Error> {
        let width = *features.size().last().expect("features have a width");
        let logits = self.logits(&features.reshape([-1, width]))?;
        logits
            .f_cross_entropy_loss(&targets.reshape([-1]), None::<&Tensor>, reduction, IGNORED, 0.0)
            .doing("could not compute the loss")
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
