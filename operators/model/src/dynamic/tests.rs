//! That the weights follow as the formulas say, and that the trained ones stay.

use std::ops::ControlFlow;

use tch::Device;

use super::*;
use crate::optimizer::AdamConstants;
use crate::{Cell, Clip, NewRow, Optimizer, Schedule, Settings, Trainer, Vectors};

/// A trainer that has learnt a cycle of words 1 to 3, knows 8, and lies in `folder`.
fn trained(folder: &Path) -> Trainer {
    trained_with(crate::Softmax::Full, folder)
}

fn trained_with(softmax: crate::Softmax, folder: &Path) -> Trainer {
    crate::device::set_threads(1);
    let settings = Settings {
        shape: Shape {
            cell: Cell::Lstm,
            layers: 1,
            hidden: 16,
            embedding: 8,
            tied: true,
            dropout: 0.3,
            identity: 1.0,
            softmax,
        },
        vectors: Vectors::Tuned,
        optimizer: Optimizer::Adam(AdamConstants::default()),
        schedule: Schedule::constant(0.01),
        clip: Clip::Norm(1.0),
        batch: 2,
        sequence: 10,
        passes: 5,
        precision: crate::Precision::Float32,
        average: 0.0,
        regularization: crate::Regularization::default(),
    };
    let mut trainer = Trainer::new(&settings, 3, Device::Cpu).expect("valid settings");
    trainer.append_rows(&[NewRow { vector: None, parts: &[] }; 8]).expect("plain rows");
    let cycle: Vec<u32> = (0..200).map(|i| 1 + i % 3).collect();
    trainer.learn(&cycle, &mut |_| ControlFlow::Continue(())).expect("known words");
    trainer.save(folder).expect("a folder of ours");
    trainer
}

/// A text that is nothing like the one that was learnt, but like itself.
fn other() -> Vec<u32> {
    (0..160).map(|i| [4, 7, 5, 6, 6][i % 5]).collect()
}

#[test]
fn adapting_helps_on_a_text_that_is_like_itself_and_leaves_the_weights() {
    let folder = tempfile::tempdir().expect("a folder");
    let trainer = trained(folder.path());
    let network = trainer.network();
    let statistics = GradientStatistics::read(folder.path(), network).expect("a checkpoint");
    let digest = network.weights_digest();
    let other = other();
    let plain = network.score(&other).expect("known words");
    for (rule, rate) in [(Rule::Sgd, 0.3), (Rule::Rms, 0.003)] {
        let still = Adaptation { rate: 0.0, sequence: 7, ..Adaptation::of(rule) };
        let moving = Adaptation { rate, sequence: 8, ..Adaptation::of(rule) };
        let score = |documents: &[&[u32]], adaptation| {
            network.score_adapting(documents, adaptation, statistics.as_ref()).expect("known words")
        };
        let unmoved = score(&[&other], still)[0];
        assert!((unmoved.nats - plain.nats).abs() < 1e-3, "{unmoved:?}, {plain:?}");
        assert_eq!(unmoved.targets, 160);
        let adapted = score(&[&other, &other], moving);
        assert!(adapted[0].nats < 0.9 * plain.nats, "{rule:?}: {adapted:?}, {plain:?}");
        assert_eq!(adapted[0], adapted[1], "each begins with the trained weights");
        // The first window is scored before anything was learnt from it.
        let first = score(&[&other[..8]], moving)[0].nats;
        let honest = network.score(&other[..8]).expect("known words").nats;
        assert!((first - honest).abs() < 1e-4, "{first}, {honest}");
        let carried = score(&[&other, &other], Adaptation { carry: true, ..moving });
        assert!(carried[1].nats < 0.9 * carried[0].nats, "{rule:?}: {carried:?}");
        assert_eq!(network.weights_digest(), digest);
    }
}

#[test]
fn a_run_without_adam_has_no_statistics_and_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let trainer = trained(folder.path());
    let adaptation = Adaptation::of(Rule::Rms);
    let outcome = trainer.network().score_adapting(&[&[1, 2]], adaptation, None);
    let message = outcome.expect_err("no statistics").to_string();
    assert!(message.starts_with("`rule` is rms; use sgd"), "{message}");
}

#[test]
fn a_text_without_words_of_the_rarer_clusters_is_followed_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let softmax = crate::Softmax::Adaptive { cutoffs: vec![4, 6], reduction: 2 };
    let trainer = trained_with(softmax, folder.path());
    let network = trainer.network();
    let statistics = GradientStatistics::read(folder.path(), network).expect("a checkpoint");
    let monotonous = [2; 160]; // below the first cutoff
    let plain = network.score(&monotonous).expect("known words");
    for (rule, rate) in [(Rule::Sgd, 0.3), (Rule::Rms, 0.003)] {
        let adaptation = Adaptation { rate, sequence: 8, ..Adaptation::of(rule) };
        let score = |documents: &[&[u32]], adaptation| {
            network.score_adapting(documents, adaptation, statistics.as_ref()).expect("known words")
        };
        let adapted = score(&[&monotonous], adaptation)[0];
        assert!(adapted.nats < 0.9 * plain.nats, "{rule:?}: {adapted:?}, {plain:?}");
        // Together the two have rows of every word, alone the first has its own.
        let carried = score(&[&monotonous, &other()], Adaptation { carry: true, ..adaptation });
        assert!((carried[0].nats - adapted.nats).abs() < 1e-3, "{carried:?}, {adapted:?}");
    }
}

#[test]
fn a_step_is_as_the_formulas_say_for_every_parameter() {
    let folder = tempfile::tempdir().expect("a folder");
    let trainer = trained(folder.path());
    let network = trainer.network();
    let statistics = GradientStatistics::read(folder.path(), network).expect("a checkpoint");
    let GradientStatistics(roots) = statistics.as_ref().expect("adam has trained");
    let sum: f64 = roots.iter().map(|root| root.sum(Kind::Double).double_value(&[])).sum();
    let mean = sum / roots.iter().map(Tensor::numel).sum::<usize>() as f64;
    for rule in [Rule::Sgd, Rule::Rms] {
        let (rate, decay) = (0.01, 0.2);
        let adaptation = Adaptation { rate, decay, clip: 1e9, ..Adaptation::of(rule) };
        let mut follower = Follower::new(network, adaptation, statistics.as_ref()).expect("a copy");
        let state = State::zeros(network.shape(), 1, Device::Cpu);
        follower.restore(&[&other()]).expect("known words");
        // After the first step the weights are away from the trained ones, which draw them back.
        follower.read(&other()[..8], DOCUMENT, &state).expect("known words");
        let weights = |follower: &Follower<'_>| -> Vec<Tensor> {
            let parameters = follower.copy.parameters();
            parameters.iter().map(|parameter| parameter.tensor.detach().copy()).collect()
        };
        let before = weights(&follower);
        let inputs = Tensor::from_slice(&[0i64, 7, 4]).view([3, 1]);
        let targets = follower.copy.targets(&[7, 4, 5]).expect("known words");
        let (features, _) = follower.copy.features(&inputs, &state, false).expect("CPU");
        let loss = follower.copy.nats(&features, &targets, Reduction::Mean).expect("CPU");
        let slopes = gradients(&loss, &follower.copy.parameters()).expect("CPU");
        follower.read(&[7, 4, 5], DOCUMENT, &state).expect("known words");
        for (index, after) in weights(&follower).iter().enumerate() {
            let trained = network.parameters()[index].tensor.detach();
            let away = &trained - &before[index];
            let expected = match rule {
                Rule::Sgd => &before[index] - rate * &slopes[index] + decay * away,
                Rule::Rms => {
                    let root = &roots[index];
                    let s = (root / mean).clamp_max(1.0 / decay);
                    &before[index] - rate * &slopes[index] / (root + EPSILON) + decay * s * away
                }
            };
            let difference = (after - &expected).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{rule:?}, parameter {index}: {difference}");
        }
    }
}
