//! The adaptive softmax against its law, and its growth.

use proptest::prelude::*;
use tch::{Device, Reduction, Tensor};

use super::super::tests::{network, shape};
use super::*;
use crate::network::{Network, State, host};
use crate::shape::Cell;

fn adaptive(tied: bool, rows: usize) -> Network {
    crate::device::set_threads(1);
    let softmax = Softmax::Adaptive { cutoffs: vec![5, 9], reduction: 2 };
    let network = network(&Shape { softmax, ..shape(Cell::Gru, tied) }, rows);
    // Louder and uneven, biases too, so that what is forgotten shows.
    for (number, parameter) in network.parameters().iter().enumerate() {
        let noise = Tensor::arange(parameter.tensor.numel() as i64, (Kind::Float, Device::Cpu));
        let noise = (noise * 1.7 + number as f64).sin() * 0.5;
        let _ = parameter.tensor.detach().g_add_(&noise.view_as(parameter.tensor));
    }
    network
}

fn features(network: &Network, places: i64) -> Tensor {
    let words = Tensor::arange(places, (Kind::Int64, Device::Cpu)).remainder(network.rows() as i64);
    let state = State::zeros(network.shape(), 1, Device::Cpu);
    let (features, _) = network.features(&words.view([-1, 1]), &state, false).expect("CPU");
    features.view([places, -1])
}

fn nats(network: &Network, features: &Tensor, targets: &[i64], reduction: Reduction) -> Tensor {
    let placed = network.targets(targets).expect("CPU");
    network.nats(features, &placed, reduction).expect("CPU")
}

fn probabilities(network: &Network, features: &Tensor) -> Vec<Vec<f64>> {
    let probabilities = network.logits(features).expect("CPU").exp();
    probabilities
        .split(1, 0)
        .iter()
        .map(|row| host(row).into_iter().map(f64::from).collect())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn probabilities_of_all_rows_sum_to_one_and_a_loss_is_minus_the_logarithm_of_one(
        rows in 1usize..30, tied in any::<bool>(), words in prop::collection::vec(0usize..30, 1..12)
    ) {
        let network = adaptive(tied, rows);
        let features = features(&network, words.len() as i64);
        let mut targets: Vec<i64> = words.iter().map(|word| (word % rows) as i64).collect();
        targets.push(IGNORED);
        let features = Tensor::cat(&[&features, &features.narrow(0, 0, 1)], 0);
        let law = probabilities(&network, &features);
        let each = host(&nats(&network, &features, &targets, Reduction::None));
        prop_assert_eq!(each.len(), targets.len());
        let mut sum = 0.0;
        for ((law, &target), nats) in law.iter().zip(&targets).zip(each) {
            prop_assert_eq!(law.len(), rows);
            prop_assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{:?}", law);
            let expected = usize::try_from(target).map_or(0.0, |word| -law[word].ln());
            prop_assert!((f64::from(nats) - expected).abs() < 1e-4, "{} is not {}", nats, expected);
            sum += expected;
        }
        let total = nats(&network, &features, &targets, Reduction::Sum).double_value(&[]);
        prop_assert!((total - sum).abs() < 1e-3);
        let mean = nats(&network, &features, &targets, Reduction::Mean).double_value(&[]);
        prop_assert!((mean - sum / words.len() as f64).abs() < 1e-3);
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for tied in [true, false] {
        let network = adaptive(tied, 13);
        let targets = [0, 4, 5, 8, 9, 12, IGNORED, 3];
        let loss = || nats(&network, &features(&network, 8), &targets, Reduction::Sum);
        let parameters = network.parameters();
        let tensors: Vec<&Tensor> = parameters.iter().map(|p| p.tensor).collect();
        let gradients = Tensor::run_backward(&[loss()], &tensors, false, false);
        for (parameter, gradient) in parameters.iter().zip(gradients) {
            assert!(gradient.defined(), "{} has no part in the loss", parameter.name);
            let gradient = host(&gradient);
            for place in (0..gradient.len()).step_by(1 + gradient.len() / 7) {
                let mut element = parameter.tensor.detach().view(-1).get(place as i64);
                const NUDGE: f64 = 4e-3;
                let _ = element.g_add_scalar_(NUDGE);
                let above = loss().double_value(&[]);
                let _ = element.g_add_scalar_(-2.0 * NUDGE);
                let below = loss().double_value(&[]);
                let _ = element.g_add_scalar_(NUDGE);
                let expected = (above - below) / (2.0 * NUDGE);
                let found = f64::from(gradient[place]);
                let error = (found - expected).abs() / (1.0 + expected.abs());
                assert!(error < 5e-3, "{}[{place}]: {found} is not {expected}", parameter.name);
            }
        }
    }
}

#[test]
fn growth_keeps_what_is_there_and_new_rows_take_little_from_it() {
    for tied in [true, false] {
        // 4: in the head. 5: opens a cluster. 7: within it. 9: opens the last. 12: within that.
        for rows in [4, 5, 7, 9, 12] {
            let mut network = adaptive(tied, rows);
            let features = features(&network, 6);
            let before: Vec<Vec<f32>> =
                network.parameters().iter().map(|p| host(p.tensor)).collect();
            let law = probabilities(&network, &features);
            let new = [NewRow { vector: None, parts: &[1, 3] }];
            network.append_rows(&new, 11, true).expect("a row that can be made");
            for (parameter, before) in network.parameters().iter().zip(before) {
                let name = &parameter.name;
                assert_eq!(host(parameter.tensor)[..before.len()], before, "{name} at {rows} rows");
                assert!(parameter.tensor.requires_grad(), "{name}");
            }
            let begin = [9, 5, 0].into_iter().find(|&begin| rows >= begin).expect("0 is below");
            for (before, after) in law.iter().zip(probabilities(&network, &features)) {
                assert_eq!(after.len(), rows + 1);
                assert!(after[rows] > 0.0 && after[rows] < 0.3, "{rows} rows: {after:?}");
                // Within a cluster that is open, only its own rows give.
                let opens = rows == begin;
                for (word, (before, after)) in before.iter().zip(&after).enumerate() {
                    let kept = if opens || word >= begin {
                        0.7 * before..=*before + 1e-6
                    } else {
                        before - 1e-6..=before + 1e-6
                    };
                    assert!(kept.contains(after), "{rows} rows, word {word}: {before} {after}");
                }
            }
        }
        let mut network = adaptive(tied, 9);
        let digest = network.weights_digest();
        let good = NewRow { vector: None, parts: &[9] };
        let error = network.append_rows(&[good], 11, true).expect_err("itself is no part");
        assert_eq!(error.to_string(), "could not append row 9: its part 9 has no row yet");
        assert_eq!(network.weights_digest(), digest);
    }
}

#[test]
fn rows_do_not_depend_on_how_they_are_grouped() {
    let unknown = NewRow { vector: None, parts: &[] };
    let parts = NewRow { vector: None, parts: &[1, 6] };
    let new = [unknown, parts, unknown, parts];
    let digest = |cut: usize| {
        let mut network = adaptive(false, 7);
        network.append_rows(&new[..cut], 11, true).expect("rows that can be made");
        network.append_rows(&new[cut..], 11, true).expect("rows that can be made");
        network.weights_digest()
    };
    // But for the rows of the call that opens a cluster, which begin as equals: 9 is the first.
    for cut in [1, 2] {
        assert_eq!(digest(0), digest(cut));
    }
}

#[test]
fn tensors_have_the_names_and_sizes_that_are_documented() {
    let names = |tied, rows| -> Vec<String> {
        let network = adaptive(tied, rows);
        let parameters = network.parameters().into_iter().filter(|p| p.name.starts_with("output"));
        parameters.map(|p| format!("{} {:?}", p.name, p.tensor.size())).collect()
    };
    let untied = [
        "output.weight [5, 5]",
        "output.bias [5]",
        "output.clusters.weight [1, 5]",
        "output.clusters.bias [1]",
        "output.tail.0.projection.weight [2, 5]",
        "output.tail.0.weight [3, 2]",
        "output.tail.0.bias [3]",
        "output.tail.1.projection.weight [1, 5]",
        "output.tail.1.weight [0, 1]",
        "output.tail.1.bias [0]",
    ];
    assert_eq!(names(false, 8), untied);
    assert_eq!(
        names(true, 11)[..3],
        ["output.bias [5]", "output.clusters.weight [2, 3]", "output.clusters.bias [2]",]
    );
}

#[test]
fn the_sum_taken_block_by_block_and_its_gradients_are_those_of_all_logits_at_once() {
    block_by_block(&[]);
    // Rows that a float32 gives no probability; ignored places have the first one for a target.
    block_by_block(&[0, 131, 262, 39_169]);
}

fn block_by_block(quiet: &[i64]) {
    // So many rows that a block has 128 places: 300 places are three blocks, the last not full.
    let network = network(&shape(Cell::Gru, false), 40_000);
    let features = features(&network, 300).detach().set_requires_grad(true);
    let target = |place: i64| if place % 7 == 3 { IGNORED } else { place * 131 % 40_000 };
    let targets: Vec<i64> = (0..300).map(target).collect();
    let (weight, bias) = network.output.head_layer(&network.embedding).expect("CPU");
    for row in quiet {
        let _ = bias.detach().get(*row).g_sub_scalar_(200.0);
    }
    let found = |loss: Tensor| {
        let inputs = [&features, &weight, &bias];
        let gradients = Tensor::run_backward(&[&loss * 0.25], &inputs, false, false);
        let mut all: Vec<Vec<f32>> = gradients.iter().map(host).collect();
        all.push(vec![loss.double_value(&[]) as f32]);
        all
    };
    let each = nats(&network, &features, &targets, Reduction::None);
    assert_eq!(each.size(), [300]);
    let unlikely = host(&each).into_iter().filter(|nats| *nats > 100.0).count();
    assert_eq!(unlikely, quiet.len());
    let whole = found(each.sum(Kind::Float));
    let blocks = found(nats(&network, &features, &targets, Reduction::Sum));
    // A gradient of the features sums 40,000 products, in another order with each library; the others a
    // few hundred.
    let borne = [3e-5, 1e-5, 1e-5, 1e-5];
    for ((whole, blocks), borne) in whole.iter().zip(&blocks).zip(borne) {
        let greatest = whole.iter().fold(0f32, |greatest, x| greatest.max(x.abs()));
        assert!(greatest > 0.0);
        for (x, y) in whole.iter().zip(blocks) {
            assert!((x - y).abs() <= borne * greatest, "{y} is not {x}");
        }
    }
    let scored = tch::no_grad(|| nats(&network, &features, &targets, Reduction::Sum));
    assert!(!scored.requires_grad());
}
