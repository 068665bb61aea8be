//! The stacked recurrent layers, through libtorch's fused operations, with PyTorch's parameters:
//! `weight_ih_l0` `[gates · hidden, input]`, `weight_hh_l0` `[gates · hidden, hidden]`, `bias_ih_l0`
//! and `bias_hh_l0` `[gates · hidden]`, then layer 1.

use std::slice;

use tch::{Device, Kind, TchError, Tensor};

use crate::error::{Doing, Error};
use crate::precision;
use crate::seed;
use crate::shape::{Cell, Shape};

/// What is carried from column to column: the hidden state, and for an LSTM its cell, each
/// `[layers, lanes, hidden]`.
#[derive(Debug)]
pub struct State(pub(crate) Vec<Tensor>);

impl State {
    /// The state before any word.
    pub fn zeros(shape: &Shape, lanes: usize, device: Device) -> State {
        let size = [shape.layers as i64, lanes as i64, shape.hidden as i64];
        State(
            (0..shape.cell.states()).map(|_| Tensor::zeros(size, (Kind::Float, device))).collect(),
        )
    }

    /// The first `lanes` lanes.
    pub(crate) fn first_lanes(&self, lanes: i64) -> State {
        State(self.0.iter().map(|part| part.narrow(1, 0, lanes).contiguous()).collect())
    }

    /// These lanes and `others` behind them.
    pub(crate) fn beside(&self, others: &State) -> State {
        State(
            self.0
                .iter()
                .zip(&others.0)
                .map(|(own, other)| Tensor::cat(&[own, other], 1))
                .collect(),
        )
    }

    /// The lanes from `first` on.
    pub(crate) fn lanes_from(&self, first: i64) -> State {
        let rest = |part: &Tensor| part.narrow(1, first, part.size()[1] - first).contiguous();
        State(self.0.iter().map(rest).collect())
    }

    /// Its only lane, `lanes` times.
    pub(crate) fn repeated(&self, lanes: i64) -> State {
        State(self.0.iter().map(|part| part.repeat([1, lanes, 1])).collect())
    }

    /// What one layer carries.
    pub(super) fn layer(&self, layer: usize) -> State {
        State(self.0.iter().map(|part| part.narrow(0, layer as i64, 1).contiguous()).collect())
    }

    /// Layers one upon the other; there is one at least.
    pub(super) fn stacked(layers: &[State]) -> State {
        let part = |part: usize| {
            Tensor::cat(&layers.iter().map(|state| &state.0[part]).collect::<Vec<_>>(), 0)
        };
        State((0..layers[0].0.len()).map(part).collect())
    }

    /// The last lane, alone.
    pub(crate) fn last_lane(&self) -> State {
        State(self.0.iter().map(|part| part.narrow(1, -1, 1).copy()).collect())
    }

    /// Lane `b` gets what lane `b - 1` had, lane 0 gets `first`.
    pub(crate) fn rolled(&self, first: &State) -> State {
        let roll = |(part, first): (&Tensor, &Tensor)| {
            let lanes = part.size()[1];
            Tensor::cat(&[first.shallow_clone(), part.narrow(1, 0, lanes - 1)], 1)
        };
        State(self.0.iter().zip(&first.0).map(roll).collect())
    }

    /// The same numbers as float32, cut off from the graph that gradients flow through.
    pub(crate) fn detached(&self) -> State {
        State(self.0.iter().map(|part| part.detach().to_kind(Kind::Float)).collect())
    }
}

/// The recurrent layers' weights, flat in PyTorch's order.
#[derive(Debug)]
pub(crate) struct Recurrent {
    shape: Shape,
    weights: Vec<Tensor>,
}

/// Each weight's name, as PyTorch has it, and its size.
pub(crate) fn sizes(shape: &Shape) -> Vec<(String, Vec<i64>)> {
    let gates = (shape.cell.gates() * shape.hidden) as i64;
    let of_layer = |layer: usize| {
        let input = if layer == 0 { shape.embedding } else { shape.hidden } as i64;
        [
            (format!("weight_ih_l{layer}"), vec![gates, input]),
            (format!("weight_hh_l{layer}"), vec![gates, shape.hidden as i64]),
            (format!("bias_ih_l{layer}"), vec![gates]),
            (format!("bias_hh_l{layer}"), vec![gates]),
        ]
    };
    (0..shape.layers).flat_map(of_layer).collect()
}

/// First values of one weight, a function of (seed, name).
///
/// Uniform in ±1/√hidden as in PyTorch; the LSTM's forget gates start open (bias 1, Jozefowicz et
/// al. 2015); IRNN as its paper says: identity (scaled), zero biases, input weights normal with deviation
/// 0.001.
fn initial(shape: &Shape, name: &str, size: &[i64], seed: u64) -> Vec<f32> {
    let count = size.iter().product::<i64>() as usize;
    let hidden = shape.hidden;
    let mut generator = seed::generator(seed, name, 0);
    if shape.cell == Cell::Irnn {
        return match &name[..9] {
            "weight_ih" => (0..count).map(|_| seed::normal(&mut generator, 0.001)).collect(),
            "weight_hh" => (0..count)
                .map(|i| if i / hidden == i % hidden { shape.identity as f32 } else { 0.0 })
                .collect(),
            _ => vec![0.0; count],
        };
    }
    let bound = 1.0 / (hidden as f32).sqrt();
    let mut values: Vec<f32> =
        (0..count).map(|_| seed::around_zero(&mut generator, bound)).collect();
    if shape.cell == Cell::Lstm && name.starts_with("bias_ih") {
        values[hidden..2 * hidden].fill(1.0); // gates in PyTorch's order: input, forget, cell, output
    }
    values
}

impl Recurrent {
    /// Fresh layers.
    pub fn new(shape: &Shape, seed: u64, device: Device) -> Result<Recurrent, Error> {
        let weights = sizes(shape).into_iter().map(|(name, size)| {
            Tensor::from_slice(&initial(shape, &name, &size, seed)).view(size.as_slice())
        });
        Recurrent::from_weights(shape, weights.collect(), device)
    }

    /// Layers with the given weights, which must have the [`sizes`] of `shape`.
    pub fn from_weights(
        shape: &Shape,
        weights: Vec<Tensor>,
        device: Device,
    ) -> Result<Recurrent, Error> {
        let weights: Result<Vec<Tensor>, _> =
            weights.into_iter().map(|weight| weight.f_to_device(device)).collect();
        let weights = weights.doing("could not move the recurrent weights to their device")?;
        lay_out(shape.cell, &weights).doing("could not lay the recurrent weights out for cuDNN")?;
        let weights = weights.into_iter().map(|weight| weight.set_requires_grad(true)).collect();
        Ok(Recurrent { shape: shape.clone(), weights })
    }

    /// The shape.
    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The weights in PyTorch's order.
    pub fn weights(&self) -> &[Tensor] {
        &self.weights
    }

    /// Reads `[columns, lanes, embedding]`, gives the last layer's `[columns, lanes, hidden]` and
    /// the state after the last column. `train` turns dropout on.
    pub fn forward(
        &self,
        input: &Tensor,
        state: &State,
        train: bool,
    ) -> Result<(Tensor, State), Error> {
        self.run(input, state, &self.weights, train)
    }

    /// [`Recurrent::forward`] with other weights, or with those of some layers only.
    pub(super) fn run(
        &self,
        input: &Tensor,
        state: &State,
        weights: &[Tensor],
        train: bool,
    ) -> Result<(Tensor, State), Error> {
        if !precision::casts() {
            return self.layers(input, state, weights, train);
        }
        // On a GPU libtorch's automatic casting takes these layers, whatever it was asked for, to float16: small
        // gradients vanish in that, and what relu gives may be too large for it. So they are cast here.
        let cast = |tensors: &[Tensor], kind| {
            let cast = tensors.iter().map(|tensor| tensor.f_to_kind(kind));
            cast.collect::<Result<Vec<_>, _>>().doing("could not cast the recurrent layers")
        };
        let narrow = |tensors| cast(tensors, Kind::BFloat16);
        let (input, weights) = (narrow(slice::from_ref(input))?, narrow(weights)?);
        // What cuDNN refuses libtorch runs by itself, from weights wherever they are.
        let _spares_a_copy = lay_out(self.shape.cell, &weights);
        let state = State(narrow(&state.0)?);
        let (output, state) =
            precision::by_hand(|| self.layers(&input[0], &state, &weights, train))?;
        Ok((output, State(cast(&state.0, Kind::Float)?)))
    }

    fn layers(
        &self,
        input: &Tensor,
        state: &State,
        weights: &[Tensor],
        train: bool,
    ) -> Result<(Tensor, State), Error> {
        let layers = weights.len() as i64 / 4;
        // libtorch warns of dropout with one layer: there is no "between".
        let dropout = if layers > 1 { self.shape.dropout } else { 0.0 };
        let h = &state.0[0];
        let outcome = match self.shape.cell {
            Cell::Lstm => {
                let state = [&state.0[0], &state.0[1]].map(Tensor::shallow_clone);
                input
                    .f_lstm(&state, weights, true, layers, dropout, train, false, false)
                    .map(|(output, h, c)| (output, State(vec![h, c])))
            }
            Cell::Gru => input
                .f_gru(h, weights, true, layers, dropout, train, false, false)
                .map(|(output, h)| (output, State(vec![h]))),
            Cell::Rnn => input
                .f_rnn_tanh(h, weights, true, layers, dropout, train, false, false)
                .map(|(output, h)| (output, State(vec![h]))),
            Cell::Irnn => input
                .f_rnn_relu(h, weights, true, layers, dropout, train, false, false)
                .map(|(output, h)| (output, State(vec![h]))),
        };
        outcome.doing("could not run the recurrent layers")
    }
}

/// Moves the weights of some layers, where cuDNN will run them, into one piece of memory: else they are
/// gathered at every call, with a warning.
fn lay_out(cell: Cell, weights: &[Tensor]) -> Result<(), TchError> {
    let [into_first, recurrent, ..] = weights else { return Ok(()) };
    if !into_first.device().is_cuda() || !tch::Cuda::cudnn_is_available() {
        return Ok(());
    }
    let mode = match cell {
        Cell::Irnn => 0,
        Cell::Rnn => 1,
        Cell::Lstm => 2,
        Cell::Gru => 3,
    };
    let (layers, input) = (weights.len() as i64 / 4, into_first.size()[1]);
    let hidden = recurrent.size()[1];
    let _buffer = tch::no_grad(|| {
        Tensor::f_internal_cudnn_rnn_flatten_weight(
            weights, 4, input, mode, hidden, 0, layers, false, false,
        )
    })?;
    Ok(())
}
