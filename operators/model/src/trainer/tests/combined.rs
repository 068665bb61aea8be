//! Resuming with everything switched on at once, re-warming and replaying.

use super::*;

#[test]
fn every_optimizer_goes_on_bit_for_bit_with_all_that_may_be_switched_on() {
    let constants = AdamConstants { weight_decay: 0.1, ..Default::default() };
    let momentum = Optimizer::Sgd { momentum: 0.9, weight_decay: 0.1 };
    let all = Regularization {
        locked_dropout: true,
        embedding_dropout: 0.2,
        weight_drop: 0.3,
        activation: 2.0,
        temporal_activation: 1.0,
    };
    let decay = Decay::InverseSquareRoot { steps: 9 };
    let plain = Schedule::constant(0.01);
    let schedule = Schedule { warm_up: 5, decay, final_share: 0.1, ..plain };
    let clips = [Clip::None, Clip::Norm(1.0), Clip::Value(0.1)].into_iter().cycle();
    let optimizers = [ADAM, Optimizer::AdamW(constants), SGD, momentum];
    for (optimizer, clip) in optimizers.into_iter().zip(clips) {
        for (regularization, schedule) in [(all, schedule), (all, plain), (NOTHING, schedule)] {
            for cell in [Cell::Lstm, Cell::Rnn] {
                let mut settings =
                    Settings { optimizer, clip, regularization, schedule, ..settings() };
                settings.shape.cell = cell;
                settings.average = if schedule == plain { 0.0 } else { 0.9 };
                settings.shape.dropout = if regularization == all { 0.3 } else { 0.0 };
                let unbroken = history(&settings, &[]);
                let case = format!("{cell:?} {optimizer:?} {regularization:?} {schedule:?}");
                assert_eq!(unbroken, history(&settings, &[2]), "{case}");
                assert_eq!(unbroken, history(&settings, &[1, 3]), "{case}");
            }
        }
    }
}

#[test]
fn nothing_replayed_is_a_plain_chunk_bit_for_bit() {
    let words = noise(61, 6, 1);
    let mut settings = settings();
    settings.shape.dropout = 0.3;
    let mut plain = trainer(&settings, 6);
    let mut empty = trainer(&settings, 6);
    for _ in 0..2 {
        let expected = learn(&mut plain, &words);
        let found = empty.learn(Material { words: &words, replayed: &[] }, &mut quietly);
        assert_eq!(found.expect("a chunk").prequential, expected.prequential);
    }
    assert_eq!(plain.weights_digest(), empty.weights_digest());
    // One word beside it is another history.
    let _ = empty.learn(Material { words: &words, replayed: &[1] }, &mut quietly);
    learn(&mut plain, &words);
    assert_ne!(plain.weights_digest(), empty.weights_digest());
}

#[test]
fn a_re_warm_is_kept_by_a_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder to write to");
    let mut settings = settings();
    let decay = Decay::Cosine { steps: 20 };
    settings.schedule = Schedule { peak: 0.01, warm_up: 4, decay, final_share: 0.1 };
    let words = noise(60, 4, 0); // 4 windows, twice
    let mut trainer = trainer(&settings, 4);
    let rates = |trainer: &mut Trainer| {
        let mut rates = Vec::new();
        let mut observe = |step: &StepReport| {
            rates.push(step.learning_rate);
            ControlFlow::Continue(())
        };
        trainer.learn(&words, &mut observe).expect("a chunk that can be learnt");
        rates
    };
    let first = rates(&mut trainer);
    assert_eq!(first[..4], [0.0025, 0.005, 0.0075, 0.01]);
    trainer.rewarm();
    trainer.save(folder.path()).expect("saved");
    let mut loaded = Trainer::load(folder.path(), &settings, Device::Cpu).expect("loaded");
    assert_eq!(rates(&mut loaded), first);
    assert_eq!(loaded.learning_rate(), first[7]);
    let unbroken = (rates(&mut trainer), trainer.weights_digest());
    assert_eq!(unbroken, (first, loaded.weights_digest()));
}

#[test]
fn a_report_tells_how_the_last_step_moved_each_parameter() {
    let mut settings = settings();
    (settings.optimizer, settings.clip) = (SGD, Clip::None);
    settings.schedule = Schedule::constant(1.0); // far, so that rounding does not show
    let mut trainer = trainer(&settings, 6);
    let report = learn(&mut trainer, &noise(50, 6, 1));
    let parameters = trainer.network.parameters();
    assert_eq!(report.parameters.len(), parameters.len());
    for (found, parameter) in report.parameters.iter().zip(&parameters) {
        assert_eq!(found.name, parameter.name);
        let norm = host(parameter.tensor).iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        assert!((found.weight_norm - norm).abs() < 1e-5 * norm, "{found:?} is not {norm}");
        let moved = found.gradient_norm; // p ← p - 1.0 · g
        assert!(moved > 0.0 && (found.update_norm - moved).abs() < 1e-2 * moved, "{found:?}");
        assert_eq!(found.update_ratio(), found.update_norm / found.weight_norm);
    }
    let text = serde_json::to_string(&report).expect("numbers and names");
    assert_eq!(serde_json::from_str::<ChunkReport>(&text).expect("just written"), report);
}

#[test]
fn a_report_counts_the_steps_that_were_clipped() {
    let cases = [
        (Clip::None, 0.0),
        (Clip::Norm(1e9), 0.0),
        (Clip::Value(1e9), 0.0),
        (Clip::Norm(1e-9), 1.0),
        (Clip::Value(1e-9), 1.0),
    ];
    for (clip, share) in cases {
        let mut trainer = trainer(&Settings { clip, ..settings() }, 6);
        assert_eq!(learn(&mut trainer, &noise(50, 6, 1)).clipped_share(), share, "{clip:?}");
        assert_eq!(learn(&mut trainer, &[]).clipped_share(), 0.0);
    }
}

#[test]
fn the_average_is_what_the_formula_makes_of_every_step_and_of_every_row() {
    let mut settings = settings();
    (settings.average, settings.batch, settings.sequence, settings.passes) = (0.6, 1, 100, 1);
    let mut trainer = trainer(&settings, 4);
    let tables = |network: &Network| -> Vec<Vec<f32>> {
        network.parameters().iter().map(|parameter| host(parameter.tensor)).collect()
    };
    let mut expected = tables(trainer.network());
    for step in 1..6u64 {
        if step == 3 {
            trainer.append_rows(&[UNKNOWN, UNKNOWN]).expect("unknown words need nothing");
            let joined = tables(trainer.network());
            for (expected, joined) in expected.iter_mut().zip(joined) {
                expected.extend(&joined[expected.len()..]);
            }
        }
        learn(&mut trainer, &noise(30, 4, step)); // one window, so one step
        let kept = (0.6f64).min((1 + step) as f64 / (10 + step) as f64) as f32;
        let weights = tables(trainer.network());
        for (average, weight) in expected.iter_mut().flatten().zip(weights.iter().flatten()) {
            *average = kept * *average + (1.0 - kept) * weight;
        }
    }
    let found = tables(trainer.averaged());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
    }
    assert_ne!(found, tables(trainer.network()));
    assert_eq!(trainer.averaged().weights_digest(), trainer.weights_digest());
}

#[test]
fn a_checkpoint_gives_the_average_to_use_and_takes_it_up_or_leaves_it() {
    let folder = tempfile::tempdir().expect("a folder to write to");
    let with = Settings { average: 0.9, ..settings() };
    let without = settings();
    let mut trainer = trainer(&with, 4);
    learn(&mut trainer, &noise(60, 4, 0));
    trainer.save(folder.path()).expect("saved");
    let to_use = Network::load(folder.path(), Device::Cpu).expect("loaded").weights_digest();
    assert_eq!(to_use, trainer.averaged().weights_digest());
    let in_training = trainer.network().weights_digest();
    assert_ne!(to_use, in_training);
    let left = Trainer::load(folder.path(), &without, Device::Cpu).expect("loaded");
    assert_eq!(left.weights_digest(), in_training);
    left.save(folder.path()).expect("saved");
    let mut taken = Trainer::load(folder.path(), &with, Device::Cpu).expect("loaded");
    assert_eq!(taken.weights_digest(), in_training); // begins where training stands
    learn(&mut taken, &noise(60, 4, 1));
    assert_ne!(taken.weights_digest(), taken.network().weights_digest());
    // Of a trainer that averages, half is not enough.
    trainer.save(folder.path()).expect("saved");
    std::fs::remove_file(folder.path().join(state::TRAINED_FILE)).expect("it was there");
    let error = Trainer::load(folder.path(), &with, Device::Cpu).expect_err("not there");
    assert!(error.to_string().contains(state::TRAINED_FILE), "{error}");
}

#[test]
fn bfloat16_learns_alike_keeps_float32_weights_and_is_refused_on_the_cpu() {
    let settings = Settings { precision: Precision::Bf16, ..settings() };
    let error = Trainer::new(&settings, 5, Device::Cpu).expect_err("a CPU").to_string();
    assert_eq!(error, "`train.precision` is bf16; use float32 on the CPU, or train on a GPU");

    // libtorch casts on the CPU as well, if slowly: the arithmetic can be watched here.
    let words = noise(120, 6, 1);
    let run = |precision| {
        let mut trainer = trainer(&super::settings(), 6);
        trainer.settings.precision = precision;
        let scores: Vec<f64> =
            (0..6).map(|_| learn(&mut trainer, &words).prequential.mean()).collect();
        let parameters = trainer.network.parameters();
        assert!(parameters.iter().all(|parameter| parameter.tensor.kind() == tch::Kind::Float));
        assert!(trainer.state.0.iter().all(|part| part.kind() == tch::Kind::Float));
        (scores, trainer.network().score(&words).expect("known words").mean())
    };
    let (float32, bfloat16) = (run(Precision::Float32), run(Precision::Bf16));
    assert_ne!(float32, bfloat16);
    for (float32, bfloat16) in float32.0.iter().zip(&bfloat16.0) {
        assert!((float32 - bfloat16).abs() < 0.02, "{bfloat16} is far from {float32}");
    }
    assert!(bfloat16.0[5] < bfloat16.0[0], "{bfloat16:?} does not fall");
    assert_eq!(run(Precision::Float32), float32); // no cast outlives its trainer's steps
}
