//! The network against a reference written out by hand.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use super::*;
use crate::shape::{Cell, Softmax};

const WORDS: [i64; 6] = [0, 3, 1, 4, 4, 2];

pub(super) fn shape(cell: Cell, tied: bool) -> Shape {
    Shape {
        cell,
        layers: 2,
        hidden: 5,
        embedding: 3,
        tied,
        dropout: 0.0,
        identity: 1.0,
        softmax: Softmax::Full,
    }
}

pub(super) fn network(shape: &Shape, rows: usize) -> Network {
    let mut network = Network::new(shape, Vectors::Tuned, 11, Device::Cpu).expect("a valid shape");
    let unknown = NewRow { vector: None, parts: &[] };
    network.append_rows(&vec![unknown; rows], 11, false).expect("unknown words need nothing");
    network
}

type Matrix = Vec<Vec<f64>>;

/// A network's numbers, by PyTorch's names.
struct Reference {
    cell: Cell,
    layers: usize,
    tensors: HashMap<String, Matrix>,
}

fn matrix(tensor: &Tensor) -> Matrix {
    let columns = if tensor.dim() == 2 { tensor.size()[1] as usize } else { 1 };
    let values = host(tensor);
    values.chunks(columns).map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect()
}

fn product(matrix: &Matrix, vector: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Reference {
    fn of(network: &Network) -> Reference {
        let named = network.parameters().into_iter().map(|p| (p.name, matrix(p.tensor)));
        Reference {
            cell: network.shape.cell,
            layers: network.shape.layers,
            tensors: named.collect(),
        }
    }

    fn tensor(&self, name: &str) -> &Matrix {
        &self.tensors[name]
    }

    /// One column of one layer; the formulas of PyTorch's documentation.
    fn column(&self, layer: usize, x: &[f64], h: &mut [f64], c: &mut [f64]) {
        let affine = |side: &str, vector: &[f64]| -> Vec<f64> {
            let weight = self.tensor(&format!("recurrent.weight_{side}_l{layer}"));
            let bias = self.tensor(&format!("recurrent.bias_{side}_l{layer}"));
            product(weight, vector).iter().zip(bias).map(|(y, b)| y + b[0]).collect()
        };
        let (from_x, from_h) = (affine("ih", x), affine("hh", h));
        let width = h.len();
        for i in 0..width {
            let gate = |gate: usize| from_x[gate * width + i] + from_h[gate * width + i];
            match self.cell {
                Cell::Rnn => h[i] = gate(0).tanh(),
                Cell::Irnn => h[i] = gate(0).max(0.0),
                Cell::Lstm => {
                    c[i] = sigmoid(gate(1)) * c[i] + sigmoid(gate(0)) * gate(2).tanh();
                    h[i] = sigmoid(gate(3)) * c[i].tanh();
                }
                Cell::Gru => {
                    let (reset, update) = (sigmoid(gate(0)), sigmoid(gate(1)));
                    let new = (from_x[2 * width + i] + reset * from_h[2 * width + i]).tanh();
                    h[i] = (1.0 - update) * new + update * h[i];
                }
            }
        }
    }

    fn logits(&self, words: &[i64]) -> Vec<Vec<f64>> {
        let width = self.tensor("recurrent.weight_hh_l0")[0].len();
        let mut states = vec![(vec![0.0; width], vec![0.0; width]); self.layers];
        let mut logits = Vec::new();
        for &word in words {
            let mut x = self.tensor("embedding.weight")[word as usize].clone();
            for (layer, (h, c)) in states.iter_mut().enumerate() {
                self.column(layer, &x, h, c);
                x = h.clone();
            }
            if let Some(projection) = self.tensors.get("projection.weight") {
                x = product(projection, &x);
            }
            let output = self.tensors.get("output.weight");
            let output = output.unwrap_or_else(|| self.tensor("embedding.weight"));
            let bias = self.tensor("output.bias");
            logits.push(product(output, &x).iter().zip(bias).map(|(y, b)| y + b[0]).collect());
        }
        logits
    }
}

#[test]
fn logits_and_losses_are_those_of_the_formulas_for_every_cell() {
    for cell in [Cell::Rnn, Cell::Irnn, Cell::Lstm, Cell::Gru] {
        for tied in [true, false] {
            let network = network(&shape(cell, tied), 5);
            // Not zero, so that forgetting it would show.
            let mut bias = network.parameters().pop().expect("the output's bias").tensor.detach();
            bias.copy_(&Tensor::from_slice(&[0.1f32, -0.2, 0.3, 0.0, 0.5]));
            if cell == Cell::Irnn {
                // Its input weights start at 0.001: too small for the comparison to see the cell.
                let mut weight = network.recurrent.weights()[0].detach();
                let _ = weight.g_mul_scalar_(500.0);
            }
            let expected = Reference::of(&network).logits(&WORDS);
            let state = State::zeros(&network.shape, 1, Device::Cpu);
            let words = Tensor::from_slice(&WORDS).view([6, 1]);
            let (features, _) = network.features(&words, &state, false).expect("CPU");
            let logits = network.logits(&features.view([6, -1])).expect("CPU");
            for (found, expected) in matrix(&logits).iter().flatten().zip(expected.iter().flatten())
            {
                assert!((found - expected).abs() < 1e-5, "{cell:?}: {found} is not {expected}");
            }

            // The loss of the words from the second on: ln Σ exp z - z of the target.
            let score = network.score(&[3, 1, 4, 4, 2]).expect("CPU");
            let nats: f64 = expected
                .iter()
                .zip(&WORDS[1..])
                .map(|(z, &word)| z.iter().map(|z| z.exp()).sum::<f64>().ln() - z[word as usize])
                .sum();
            assert!((score.nats - nats).abs() < 1e-4, "{cell:?}: {score:?} is not {nats}");
            assert_eq!(score.targets, 5);
        }
    }
}

#[test]
fn recurrent_layers_that_are_cast_give_about_the_same_and_carry_float32() {
    for cell in [Cell::Rnn, Cell::Irnn, Cell::Lstm, Cell::Gru] {
        let network = network(&shape(cell, false), 6);
        let state = State::zeros(network.shape(), 2, Device::Cpu);
        let words = Tensor::from_slice(&WORDS).view([3, 2]);
        let (exact, _) = network.features(&words, &state, true).expect("CPU");
        let casting = crate::Precision::Bf16.begin().expect("a flag");
        let (cast, carried) = network.features(&words, &state, true).expect("CPU");
        drop(casting);
        assert_eq!(cast.kind(), Kind::BFloat16, "{cell:?}");
        assert!(carried.0.iter().all(|part| part.kind() == Kind::Float), "{cell:?}");
        // Eight bits of what was 24: never all equal, never far away.
        let cast = cast.to_kind(Kind::Float);
        let furthest = (&cast - &exact).abs().max() / exact.abs().max();
        let furthest = furthest.double_value(&[]);
        assert!((1e-5..3e-2).contains(&furthest), "{cell:?}: {furthest}");

        cast.sum(Kind::Float).backward();
        for parameter in network.parameters() {
            if parameter.name.starts_with("recurrent.weight_hh") {
                let gradient = parameter.tensor.grad();
                assert!(gradient.defined() && gradient.kind() == Kind::Float, "{cell:?}");
                assert!(gradient.abs().max().double_value(&[]) > 0.0, "{cell:?}");
            }
        }
        // What follows is not cast.
        let (after, _) = network.features(&words, &state, true).expect("CPU");
        assert!(after.equal(&exact), "{cell:?}");
    }
}

#[test]
fn parameters_have_the_names_and_sizes_of_pytorch() {
    let names = |tied, hidden| {
        let shape = Shape { hidden, layers: 1, ..shape(Cell::Lstm, tied) };
        let network = network(&shape, 7);
        let parameters = network.parameters().into_iter();
        parameters.map(|p| format!("{} {:?}", p.name, p.tensor.size())).collect::<Vec<_>>()
    };
    let recurrent = [
        "embedding.weight [7, 3]",
        "recurrent.weight_ih_l0 [20, 3]",
        "recurrent.weight_hh_l0 [20, 5]",
        "recurrent.bias_ih_l0 [20]",
        "recurrent.bias_hh_l0 [20]",
    ];
    let with = |rest: &[&'static str]| [&recurrent, rest].concat();
    assert_eq!(names(true, 5), with(&["projection.weight [3, 5]", "output.bias [7]"]));
    assert_eq!(names(false, 5), with(&["output.weight [7, 5]", "output.bias [7]"]));
    assert_eq!(names(true, 3).len(), 6); // equal widths need no projection
}

#[test]
fn appending_rows_leaves_the_old_ones_and_refusing_them_changes_nothing() {
    let mut network = network(&shape(Cell::Gru, false), 4);
    let before: Vec<Vec<f32>> = network.parameters().iter().map(|p| host(p.tensor)).collect();
    let new = NewRow { vector: Some(&[1.0, 0.0, 0.0]), parts: &[1, 2] };
    let wrong = NewRow { vector: Some(&[1.0]), parts: &[] };
    let digest = network.weights_digest();
    network.append_rows(&[new, wrong], 11, true).expect_err("a vector too short");
    assert_eq!(network.weights_digest(), digest);
    network.append_rows(&[new], 11, true).expect("a good row");
    assert_eq!(network.rows(), 5);
    for (parameter, before) in network.parameters().iter().zip(before) {
        assert_eq!(host(parameter.tensor)[..before.len()], before, "{}", parameter.name);
        assert!(parameter.tensor.requires_grad(), "{}", parameter.name);
    }
}

#[test]
fn first_weights_are_a_function_of_the_seed() {
    let digest = |seed| {
        let network = Network::new(&shape(Cell::Lstm, true), Vectors::Tuned, seed, Device::Cpu);
        network.expect("a valid shape").weights_digest()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn documents_in_company_score_as_each_in_one_sweep_from_a_fresh_state() {
    let network = network(&shape(Cell::Lstm, true), 5);
    for parameter in network.parameters() {
        let _ = parameter.tensor.detach().g_mul_scalar_(6.0); // louder, so that a lost state shows
    }
    let words: Vec<u32> = (0..700).map(|i| i * i % 5).collect();
    let documents = [&words[..40], &words[3..3], &words[..], &words[5..6], &words[100..640]];
    let scores = network.score_documents(&documents).expect("known words");
    for (document, score) in documents.iter().zip(scores) {
        let column = |words: &mut dyn Iterator<Item = u32>| {
            Tensor::from_slice(&words.map(i64::from).collect::<Vec<_>>()).view([-1, 1])
        };
        let inputs = [0].into_iter().chain(document.iter().copied()).take(document.len());
        let inputs = column(&mut inputs.into_iter());
        let targets: Vec<i64> = document.iter().copied().map(i64::from).collect();
        let state = State::zeros(&network.shape, 1, Device::Cpu);
        let expected = if document.is_empty() {
            0.0 // libtorch refuses sequences without a column
        } else {
            let (features, _) = network.features(&inputs, &state, false).expect("CPU");
            let targets = network.targets(&targets).expect("CPU");
            let nats = network.nats(&features, &targets, Reduction::Sum).expect("CPU");
            nats.double_value(&[])
        };
        assert_eq!(score.targets, document.len() as u64);
        assert!((score.nats - expected).abs() < 1e-3, "{score:?} is not {expected}");
    }
    assert!(matches!(network.score(&[1, 5]), Err(Error::UnknownWord { word: 5, rows: 5 })));
}

#[test]
fn a_passage_is_a_function_of_its_seed_and_avoids_what_is_forbidden() {
    let network = network(&shape(Cell::Lstm, true), 5);
    let write = |sampler: crate::Sampler, forbid: &[u32]| -> Vec<u32> {
        let passage = sampler.generate(&network, &[1, 2], 40, forbid).expect("known words");
        passage.map(|word| word.expect("something to say")).collect()
    };
    let sampler = crate::Sampler::default();
    let passage = write(sampler, &[0]);
    assert_eq!(passage.len(), 40);
    assert!(passage.iter().all(|&word| (1..5).contains(&word)), "{passage:?}");
    assert_eq!(passage, write(sampler, &[0]));
    assert_ne!(passage, write(crate::Sampler { seed: 1, ..sampler }, &[0]));
    let mut all = sampler.generate(&network, &[], 9, &[0, 1, 2, 3, 4]).expect("known words");
    assert!(matches!(all.next(), Some(Err(Error::NothingToSay))));
    assert!(all.next().is_none());
}

#[test]
fn passages_drawn_together_are_those_drawn_alone() {
    let network = network(&shape(Cell::Lstm, true), 5);
    let sampler = crate::Sampler { seed: 4, ..crate::Sampler::default() };
    let together = sampler.passages(&network, &[1, 2], (3, 30), &[0]).expect("known words");
    let together: Vec<Vec<u32>> = together.map(|words| words.expect("something to say")).collect();
    assert_eq!(together.len(), 30);
    for (lane, seed) in [4, 5, 6].into_iter().enumerate() {
        let alone = crate::Sampler { seed, ..sampler };
        let alone = alone.generate(&network, &[1, 2], 30, &[0]).expect("known words");
        let alone: Vec<u32> = alone.map(|word| word.expect("something to say")).collect();
        let lane: Vec<u32> = together.iter().map(|words| words[lane]).collect();
        assert_eq!(lane, alone, "seed {seed}");
    }
}
