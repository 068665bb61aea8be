//! The laws of training and of resuming.

mod combined;
mod saved;

use tch::Device;

use super::*;
use crate::network::host;
use crate::optimizer::AdamConstants;
use crate::{
    Cell, Clip, Decay, Optimizer, Precision, Regularization, Schedule, Score, Shape, Softmax,
    Vectors, state,
};

const ADAM: Optimizer =
    Optimizer::Adam(AdamConstants { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 });
const SGD: Optimizer = Optimizer::Sgd { momentum: 0.0, weight_decay: 0.0 };
const NOTHING: Regularization = Regularization {
    locked_dropout: false,
    embedding_dropout: 0.0,
    weight_drop: 0.0,
    activation: 0.0,
    temporal_activation: 0.0,
};
const UNKNOWN: NewRow<'_> = NewRow { vector: None, parts: &[] };

fn settings() -> Settings {
    crate::device::set_threads(1);
    Settings {
        shape: Shape {
            cell: Cell::Lstm,
            layers: 2,
            hidden: 12,
            embedding: 8,
            tied: true,
            dropout: 0.0,
            identity: 0.9,
            softmax: Softmax::Full,
        },
        vectors: Vectors::Tuned,
        optimizer: ADAM,
        schedule: Schedule::constant(0.01),
        clip: Clip::Norm(1.0),
        batch: 3,
        sequence: 5,
        passes: 2,
        precision: Precision::Float32,
        average: 0.0,
        regularization: NOTHING,
    }
}

fn trainer(settings: &Settings, rows: usize) -> Trainer {
    let mut trainer = Trainer::new(settings, 5, Device::Cpu).expect("valid settings");
    trainer.append_rows(&vec![UNKNOWN; rows]).expect("unknown words need nothing");
    trainer
}

fn quietly(_: &StepReport) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn learn(trainer: &mut Trainer, words: &[u32]) -> ChunkReport {
    trainer.learn(words, &mut quietly).expect("a chunk that can be learnt")
}

/// Words without a pattern, below `rows`.
fn noise(count: usize, rows: u32, seed: u64) -> Vec<u32> {
    let mut generator = seed::generator(seed, "test", 0);
    (0..count).map(|_| (seed::unit(&mut generator) * rows as f32) as u32).collect()
}

#[test]
fn every_cell_learns_a_cycle_almost_to_certainty() {
    let cycle: Vec<u32> = (0..240).map(|i| [1, 2, 1, 3, 4, 2, 5, 6][i % 8]).collect();
    for cell in [Cell::Rnn, Cell::Irnn, Cell::Lstm, Cell::Gru] {
        let mut settings = settings();
        settings.shape = Shape { cell, layers: 1, hidden: 24, ..settings.shape };
        let mut trainer = trainer(&settings, 7);
        let first = trainer.network().score(&cycle).expect("known words").mean();
        assert!((first - 7f64.ln()).abs() < 0.2, "{cell:?} starts at {first}, not near ln 7");
        let last = (0..25).map(|_| learn(&mut trainer, &cycle).prequential.mean()).last();
        assert!(last.expect("25 chunks") < 0.05, "{cell:?} ends at {last:?}");
    }
    for tied in [true, false] {
        let mut settings = settings();
        let softmax = Softmax::Adaptive { cutoffs: vec![3, 5], reduction: 2 };
        settings.shape = Shape { layers: 1, hidden: 24, tied, softmax, ..settings.shape };
        let mut trainer = trainer(&settings, 7);
        let last = (0..25).map(|_| learn(&mut trainer, &cycle).prequential.mean()).last();
        assert!(last.expect("25 chunks") < 0.05, "an adaptive softmax ends at {last:?}");
    }
}

/// Four chunks, before each of which rows are appended; saved and loaded before those named.
fn history(settings: &Settings, reload_before: &[usize]) -> (String, Vec<Score>, Vec<f32>) {
    let folder = tempfile::tempdir().expect("a folder to write to");
    let mut trainer = trainer(settings, 4);
    let mut scores = Vec::new();
    for chunk in 0..4usize {
        if reload_before.contains(&chunk) {
            trainer.save(folder.path()).expect("saved");
            drop(trainer);
            trainer = Trainer::load(folder.path(), settings, Device::Cpu).expect("loaded");
        }
        let vector: Vec<f32> = (0..8).map(|i| ((i + chunk) as f32).sin()).collect();
        let new = [
            NewRow { vector: Some(&vector), parts: &[] },
            NewRow { vector: None, parts: &[1, 2] },
            UNKNOWN,
        ];
        trainer.append_rows(&new).expect("rows that can be made");
        let rows = trainer.network().rows() as u32;
        let (words, replayed) = (noise(61, rows, chunk as u64), noise(17 * chunk, rows, 9));
        if chunk == 2 {
            trainer.rewarm();
        }
        let material = Material { words: &words, replayed: &replayed };
        scores.push(trainer.learn(material, &mut quietly).expect("a chunk").prequential);
    }
    let state = trainer.state.0.iter().flat_map(host).collect();
    (trainer.weights_digest() + &trainer.network().weights_digest(), scores, state)
}

#[test]
fn a_trainer_that_is_saved_and_loaded_goes_on_bit_for_bit() {
    for cell in [Cell::Lstm, Cell::Gru, Cell::Irnn] {
        for (optimizer, vectors) in [(ADAM, Vectors::Frozen), (SGD, Vectors::Learned)] {
            let mut settings = settings();
            settings.shape = Shape { cell, dropout: 0.3, ..settings.shape };
            (settings.optimizer, settings.vectors) = (optimizer, vectors);
            let unbroken = history(&settings, &[]);
            for reload_before in [&[1][..], &[3], &[0, 2], &[1, 2, 3]] {
                assert_eq!(unbroken, history(&settings, reload_before), "{reload_before:?}");
            }
        }
    }
}

#[test]
fn an_adaptive_softmax_goes_on_bit_for_bit_while_its_clusters_open() {
    for (tied, vectors) in [(true, Vectors::Frozen), (false, Vectors::Tuned)] {
        // From 4 rows to 16: the second chunk opens one cluster, the third another, both grow.
        let mut settings = settings();
        let softmax = Softmax::Adaptive { cutoffs: vec![8, 12], reduction: 2 };
        settings.shape = Shape { tied, softmax, dropout: 0.3, ..settings.shape };
        settings.vectors = vectors;
        let unbroken = history(&settings, &[]);
        for reload_before in [&[1][..], &[2], &[3], &[1, 2, 3]] {
            assert_eq!(unbroken, history(&settings, reload_before), "{reload_before:?}");
        }
    }
}

#[test]
fn another_seed_is_another_model() {
    let settings = settings();
    let digest = |seed| {
        let mut trainer = Trainer::new(&settings, seed, Device::Cpu).expect("valid settings");
        trainer.append_rows(&[UNKNOWN; 4]).expect("unknown words need nothing");
        learn(&mut trainer, &noise(30, 4, 0));
        trainer.weights_digest()
    };
    assert_ne!(digest(1), digest(2));
}

#[test]
fn after_as_many_passes_as_lanes_every_lane_reads_on_from_the_one_before() {
    // Steps too small to change a float32 leave the hidden state as the only thing that moves. It is
    // right in lane 0 at once, and in one lane more after each roll.
    let mut settings = settings();
    (settings.optimizer, settings.schedule) = (SGD, Schedule::constant(1e-30));
    (settings.batch, settings.passes) = (4, 4);
    let words = noise(96, 6, 3);
    let (first, second) = words.split_at(48); // 4 lanes of 12, in windows of 4
    let mut trainer = trainer(&settings, 6);
    // Louder weights, so that a wrong state shows.
    let parameters = trainer.network.parameters();
    parameters.iter().for_each(|p| {
        let _ = p.tensor.detach().g_mul_scalar_(4.0);
    });
    drop(parameters);
    let expected = trainer.network().score(first).expect("known words").nats;
    let both = trainer.network().score(&words).expect("known words").nats;
    let found = learn(&mut trainer, first);
    assert!((found.last_pass.nats - expected).abs() < 1e-3, "{found:?} is not {expected}");
    assert!((found.prequential.nats - expected).abs() > 1e-2, "the state does not matter here");
    let found = learn(&mut trainer, second).last_pass.nats;
    assert!((found - (both - expected)).abs() < 1e-3, "{found} is not {}", both - expected);
}

#[test]
fn the_prequential_loss_is_scored_before_each_step_and_without_dropout() {
    let words = noise(50, 6, 1);
    let mut settings = settings();
    let mut sum = Score::default();
    let report = trainer(&settings, 6)
        .learn(&words, &mut |step| {
            if step.pass == 0 {
                sum += step.score;
            }
            ControlFlow::Continue(())
        })
        .expect("a chunk that can be learnt");
    assert_eq!(report.prequential, sum);
    assert_eq!((sum.targets, report.last_pass.targets), (50, 50));
    assert_eq!(report.steps, 8); // 17 columns in 4 windows, twice

    (settings.optimizer, settings.schedule) = (SGD, Schedule::constant(1e-30));
    settings.sequence = 50; // one window: dropout cannot reach the score through the state
    let without = learn(&mut trainer(&settings, 6), &words);
    let drops = |embedding_dropout, weight_drop| Regularization {
        embedding_dropout,
        weight_drop,
        ..Default::default()
    };
    let kinds = [(0.5, drops(0.0, 0.0)), (0.0, drops(0.5, 0.0)), (0.0, drops(0.0, 0.5))];
    for (dropout, regularization) in kinds {
        (settings.shape.dropout, settings.regularization) = (dropout, regularization);
        let with = learn(&mut trainer(&settings, 6), &words);
        assert_eq!(with.prequential, without.prequential, "{regularization:?}");
        assert_ne!(with.last_pass, without.last_pass, "{regularization:?}");
    }
    // Burdens are in the gradient, and in no score.
    settings.shape.dropout = 0.0;
    settings.regularization =
        Regularization { activation: 2.0, temporal_activation: 1.0, ..Default::default() };
    let burdened = learn(&mut trainer(&settings, 6), &words);
    assert_eq!(burdened.last_pass, without.last_pass);
    assert_ne!(burdened.gradient_norms, without.gradient_norms);
}

#[test]
fn frozen_rows_stay_and_the_others_learn() {
    let vector = [1f32, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0, 0.0];
    let rows = [UNKNOWN, NewRow { vector: Some(&vector), parts: &[] }];
    for vectors in [Vectors::Frozen, Vectors::Tuned] {
        let constants = AdamConstants { weight_decay: 0.1, ..Default::default() };
        let optimizer = Optimizer::AdamW(constants);
        let mut trainer = trainer(&Settings { vectors, optimizer, ..settings() }, 0);
        trainer.append_rows(&rows).expect("rows that can be made");
        let before = host(&trainer.network.parameters()[0].tensor.copy());
        learn(&mut trainer, &noise(40, 2, 2));
        let after = host(trainer.network.parameters()[0].tensor);
        assert_ne!(before[..8], after[..8]);
        assert_eq!(before[8..] == after[8..], vectors == Vectors::Frozen);
    }
}

#[test]
fn new_words_enter_beside_the_old_ones_and_none_swallows_the_probability() {
    let settings = settings();
    let mut trainer = trainer(&settings, 40);
    for chunk in 0..12 {
        learn(&mut trainer, &noise(120, 40, chunk));
    }
    let everything = |trainer: &Trainer| -> Vec<(String, Vec<f32>)> {
        let parameters = trainer.network.parameters();
        let moments = trainer.optimizer.tensors(&parameters).into_iter();
        let moments = moments.map(|(name, tensor)| (format!("moment {name}"), host(tensor)));
        let weights = parameters.iter().map(|p| (p.name.clone(), host(p.tensor)));
        weights.chain(moments).collect()
    };
    let before = everything(&trainer);
    let mut generator = seed::generator(5, "vector", 0);
    let vector: Vec<f32> = (0..8).map(|_| 3.0 * seed::normal(&mut generator, 1.0)).collect();
    let cases = [
        NewRow { vector: Some(&vector), parts: &[1, 2] },
        NewRow { vector: None, parts: &[1, 2] },
        UNKNOWN,
    ];
    let many: Vec<NewRow<'_>> = (0..300).map(|row| cases[row % 3]).collect();
    trainer.append_rows(&many).expect("rows that can be made");

    // What was there stays, bit for bit, at the same ids; moments of new rows begin at zero.
    for ((name, before), (_, after)) in before.iter().zip(everything(&trainer)) {
        assert_eq!(after[..before.len()], before[..], "{name}");
        if name.starts_with("moment") && !name.contains("step") {
            assert!(after[before.len()..].iter().all(|x| *x == 0.0), "{name}");
        }
    }
    // Each has less than an even share would give it, after whatever it comes.
    let rows = 340;
    let words =
        Tensor::from_slice(&noise(60, 340, 77).into_iter().map(i64::from).collect::<Vec<_>>());
    let state = State::zeros(&settings.shape, 1, Device::Cpu);
    let network = trainer.network();
    let (features, _) = network.features(&words.view([60, 1]), &state, false).expect("CPU");
    let logits = network.logits(&features.view([60, -1])).expect("CPU");
    let probabilities = host(&logits.softmax(-1, tch::Kind::Float));
    for (place, shares) in probabilities.chunks(rows).enumerate() {
        let most = shares[40..].iter().copied().fold(0.0, f32::max);
        assert!(most < 1.0 / rows as f32, "a new word has {most} at {place}");
    }
}

#[test]
fn gradients_become_contiguous_and_share_no_memory() {
    let shared = Tensor::from_slice(&[1f32, 2.0]);
    let turned = Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).view([2, 2]).tr();
    let expected = host(&turned);
    let gradients = owned(vec![shared.shallow_clone(), shared, turned]);
    assert!(gradients.iter().all(Tensor::is_contiguous));
    assert_eq!(host(&gradients[2]), expected);
    let _ = gradients[0].shallow_clone().g_mul_scalar_(2.0);
    assert_eq!((host(&gradients[0]), host(&gradients[1])), (vec![2.0, 4.0], vec![1.0, 2.0]));
}

#[test]
fn an_interrupted_trainer_refuses_to_pass_for_a_finished_one() {
    let mut trainer = trainer(&settings(), 4);
    let mut steps = 0;
    let outcome = trainer.learn(&noise(60, 4, 0), &mut |_| {
        steps += 1;
        if steps == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(outcome, Err(Error::Interrupted { step: 3 })), "{outcome:?}");
    assert!(matches!(trainer.copy(), Err(Error::Unfinished)));
    assert!(matches!(trainer.append_rows(&[UNKNOWN]), Err(Error::Unfinished)));
    assert!(matches!(trainer.learn(&[1], &mut quietly), Err(Error::Unfinished)));
}

#[test]
fn replayed_words_are_learnt_beside_the_chunk_and_leave_its_score_and_state_alone() {
    // Steps too small to change a float32: what differs is what the lanes themselves do.
    let mut still = settings();
    (still.optimizer, still.schedule) = (SGD, Schedule::constant(1e-30));
    let (words, replayed) = (noise(50, 6, 1), noise(23, 6, 2));
    let both = Material { words: &words, replayed: &replayed };
    let mut alone = trainer(&still, 6);
    let mut beside = trainer(&still, 6);
    let expected = learn(&mut alone, &words);
    let found = beside.learn(both, &mut quietly).expect("a chunk that can be learnt");
    assert_eq!(found.prequential.targets, 50);
    assert_eq!(found.steps, expected.steps);
    assert!((found.prequential.nats - expected.prequential.nats).abs() < 1e-3, "{found:?}");
    assert_ne!(found.gradient_norms, expected.gradient_norms);
    assert_eq!(alone.progress(), beside.progress());
    for (alone, beside) in alone.state.0.iter().zip(&beside.state.0) {
        let difference = (alone - beside).abs().max().double_value(&[]);
        assert!(alone.size() == beside.size() && difference < 1e-6, "{difference}");
    }

    // They are learnt: a cycle that the chunk has nothing of is predicted better for it.
    let cycle: Vec<u32> = (0..40).map(|i| [1, 2, 3, 5][i % 4]).collect();
    let zeros = vec![4; 120];
    let after = |replayed: &[u32]| {
        let mut trainer = trainer(&settings(), 6);
        for _ in 0..40 {
            let material = Material { words: &zeros, replayed };
            trainer.learn(material, &mut quietly).expect("a chunk that can be learnt");
        }
        trainer.network().score(&cycle).expect("known words").mean()
    };
    let (with, without) = (after(&cycle), after(&[]));
    assert!(with < 0.7 && without > 2.0, "{with} with, {without} without");

    let unknown = Material { words: &words, replayed: &[6] };
    let outcome = beside.learn(unknown, &mut quietly);
    assert!(matches!(outcome, Err(Error::UnknownWord { word: 6, rows: 6 })), "{outcome:?}");
}

#[test]
fn divergence_is_an_error_that_names_the_step() {
    let mut settings = settings();
    (settings.optimizer, settings.clip) = (SGD, Clip::None);
    settings.schedule = Schedule::constant(1e38);
    let outcome = trainer(&settings, 4).learn(&noise(60, 4, 0), &mut quietly);
    assert!(matches!(outcome, Err(Error::Diverged { step: 2, .. })), "{outcome:?}");
}

#[test]
fn unknown_words_and_empty_chunks_change_nothing() {
    let mut trainer = trainer(&settings(), 4);
    let digest = trainer.weights_digest();
    let outcome = trainer.learn(&[1, 4], &mut quietly);
    assert!(matches!(outcome, Err(Error::UnknownWord { word: 4, rows: 4 })), "{outcome:?}");
    assert_eq!(learn(&mut trainer, &[]).prequential.targets, 0);
    assert_eq!((trainer.progress(), trainer.weights_digest()), (Progress::default(), digest));
}
