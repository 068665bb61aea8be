//! What is on the disk: whole, or refused by name.

use std::path::Path;

use super::*;

fn saved(folder: &Path) -> Settings {
    let settings = settings();
    let mut trainer = trainer(&settings, 4);
    learn(&mut trainer, &noise(30, 4, 0));
    trainer.save(folder).expect("saved");
    settings
}

#[test]
fn damaged_files_are_errors_that_name_them() {
    let folder = tempfile::tempdir().expect("a folder to write to");
    let settings = saved(folder.path());
    let files = [state::MODEL_FILE, state::OPTIMIZER_FILE, state::STATE_FILE, state::TRAINER_FILE];
    for name in files {
        let path = folder.path().join(name);
        let whole = std::fs::read(&path).expect("just written");
        let refuse = |bytes: Option<&[u8]>| {
            match bytes {
                Some(bytes) => std::fs::write(&path, bytes).expect("a writable folder"),
                None => std::fs::remove_file(&path).expect("it was there"),
            }
            let error = Trainer::load(folder.path(), &settings, Device::Cpu).expect_err("damaged");
            assert!(error.to_string().contains(name), "{error}");
        };
        for length in [0, 1, 8, 40, whole.len() / 2, whole.len() - 1] {
            refuse(Some(&whole[..length]));
        }
        refuse(Some(&[0xFF; 100]));
        refuse(None);
        std::fs::write(&path, &whole).expect("a writable folder");
    }
    // One model's moments beside another's weights.
    std::fs::copy(folder.path().join(files[0]), folder.path().join(files[1])).expect("copied");
    let error = Trainer::load(folder.path(), &settings, Device::Cpu).expect_err("foreign");
    assert!(error.to_string().contains("optimizer.safetensors is not usable"), "{error}");
}

#[test]
fn a_checkpoint_of_another_shape_is_refused_and_other_rates_are_taken() {
    let folder = tempfile::tempdir().expect("a folder to write to");
    let settings = saved(folder.path());
    let mut other = settings.clone();
    other.shape.hidden = 13;
    let error = Trainer::load(folder.path(), &other, Device::Cpu).expect_err("another shape");
    let expected = "the checkpoint has `model.hidden` 12, the job asks for 13; use the \
                    checkpoint's, or begin a new run";
    assert_eq!(error.to_string(), expected);
    let mut other = settings.clone();
    other.shape.softmax = Softmax::Adaptive { cutoffs: vec![2], reduction: 4 };
    let error = Trainer::load(folder.path(), &other, Device::Cpu).expect_err("another softmax");
    let expected = "the checkpoint has `model.softmax` full, the job asks for adaptive (cutoffs \
                    [2], reduction 4); use the checkpoint's, or begin a new run";
    assert_eq!(error.to_string(), expected);
    let slower = Settings { schedule: Schedule::constant(1e-4), passes: 1, ..settings };
    let trainer = Trainer::load(folder.path(), &slower, Device::Cpu).expect("only rates differ");
    assert_eq!(trainer.settings(), &slower);
}

#[test]
fn a_frozen_copy_is_written_elsewhere_while_training_goes_on() {
    let folder = tempfile::tempdir().expect("a folder to write to");
    let settings = settings();
    let mut trainer = trainer(&settings, 4);
    learn(&mut trainer, &noise(30, 4, 0));
    let digest = trainer.weights_digest();
    let frozen = trainer.copy().expect("between chunks");
    learn(&mut trainer, &noise(30, 4, 1));
    let path = folder.path().to_owned();
    let written = std::thread::spawn(move || frozen.write(&path).map(|()| frozen.weights_digest()));
    assert_eq!(written.join().expect("no panic").expect("written"), digest);
    let loaded = Network::load(folder.path(), Device::Cpu).expect("loaded");
    assert_eq!(loaded.weights_digest(), digest);
    assert_ne!(trainer.weights_digest(), digest);
}
