//! A trainer on disk, and back: bit for bit, so that the loaded trainer goes on as the unbroken one.
//!
//! A folder holds four files, or five:
//!
//! - `model.safetensors`: the parameters; where they are averaged, the average. Those of the recurrent layers have PyTorch's names and
//!   layout behind the prefix `recurrent.`, `embedding.weight` is `torch.nn.Embedding`'s, and so on.
//! - `optimizer.safetensors`: moments and step counts, under the parameters' names.
//! - `state.safetensors`: `state.0` (hidden) and `state.1` (an LSTM's cell), `[layers, batch,
//!   hidden]`; with frozen vectors also `learnable`, `[rows, 1]`.
//! - `trained.safetensors`: where parameters are averaged, those that training goes on from.
//! - `trainer.json`: [`TrainerState`].
//!
//! Saving has two halves, so that training is held up only by the first: [`Trainer::copy`] copies the
//! tensors, [`Frozen::write`] writes them, on whatever thread. Each file is synced; that the folder
//! is written aside and renamed is the caller's part. Whatever is wrong with a file is an error that
//! names it, never a panic and never half a trainer.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use crate::error::Doing;
use crate::network::State;
use crate::optimizer::OptimizerState;
use crate::trainer::{Progress, average};
use crate::{Error, Network, Settings, Trainer, digest};

/// Parameters.
pub const MODEL_FILE: &str = "model.safetensors";
/// Parameters in training, where those of [`MODEL_FILE`] are their average.
pub const TRAINED_FILE: &str = "trained.safetensors";
/// Moments and step counts.
pub const OPTIMIZER_FILE: &str = "optimizer.safetensors";
/// Hidden state, and which rows learn.
pub const STATE_FILE: &str = "state.safetensors";
/// Everything that is not a tensor.
pub const TRAINER_FILE: &str = "trainer.json";

/// The version of these files. Others are refused.
const FORMAT: u32 = 1;

/// What is known of a trainer beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerState {
    /// The version of the files.
    pub format: u32,
    /// The settings it was trained with.
    pub settings: Settings,
    /// What everything random is a function of.
    pub seed: u64,
    /// Rows of the vocabulary.
    pub rows: usize,
    /// How far it has come.
    pub progress: Progress,
}

type Named = Vec<(String, Tensor)>;

/// A copy of a trainer between two chunks, on the CPU, ready to be written.
#[derive(Debug)]
pub struct Frozen {
    model: Named,
    trained: Option<Named>,
    optimizer: Named,
    state: Named,
    trainer: TrainerState,
}

impl Trainer {
    /// Copies everything, at the speed of memory. Refused within a chunk.
    pub fn copy(&self) -> Result<Frozen, Error> {
        self.check_finished()?;
        let parameters = self.network.parameters();
        let named = |network: &Network| {
            let parameters = network.parameters().into_iter();
            copied(parameters.map(|parameter| (parameter.name, parameter.tensor)))
        };
        let trained = self.average.is_some().then(|| named(&self.network)).transpose()?;
        let state = self.state.0.iter().enumerate().map(|(i, part)| (format!("state.{i}"), part));
        let learnable = self.network.learnable().map(|rows| ("learnable".to_owned(), rows));
        Ok(Frozen {
            model: named(self.averaged())?,
            trained,
            optimizer: copied(self.optimizer.tensors(&parameters))?,
            state: copied(state.chain(learnable))?,
            trainer: self.plain_state(),
        })
    }

    /// What is known of it beside its tensors.
    pub fn plain_state(&self) -> TrainerState {
        TrainerState {
            format: FORMAT,
            settings: self.settings.clone(),
            seed: self.seed,
            rows: self.network.rows(),
            progress: self.progress,
        }
    }

    /// Copies and writes in one go.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        self.copy()?.write(folder)
    }

    /// Reads a trainer back. The seed is the checkpoint's. Of the settings, those that decide which
    /// tensors there are (shape, vectors, kind of optimizer, batch) must be the checkpoint's; for the
    /// others (rates, clipping, sequence, passes) the given ones hold from now on.
    pub fn load(folder: &Path, settings: &Settings, device: Device) -> Result<Trainer, Error> {
        let found = TrainerState::read(folder)?;
        match_settings(&found.settings, settings)?;
        let mut trainer = Trainer::new(settings, found.seed, device)?;
        if found.settings.average > 0.0 {
            trainer.network.read(folder, TRAINED_FILE, &found)?;
        } else {
            trainer.network.read(folder, MODEL_FILE, &found)?;
        }
        match &mut trainer.average {
            Some(average) if found.settings.average > 0.0 => {
                average.read(folder, MODEL_FILE, &found)?;
            }
            // Asked for from now on: it begins where training stands.
            Some(average) => *average = average::begun(settings, &trainer.network, found.seed)?,
            None => {}
        }

        let parameters = trainer.network.parameters();
        let mut file = TensorFile::read(folder.join(OPTIMIZER_FILE))?;
        let mut optimizer = OptimizerState::new(settings.optimizer, &parameters);
        optimizer.replace(&parameters, |name, size| file.take(name, size, found.rows))?;
        file.finish()?;
        trainer.optimizer = optimizer;

        let mut file = TensorFile::read(folder.join(STATE_FILE))?;
        let mut state = State::zeros(&settings.shape, settings.batch, device);
        for (number, part) in state.0.iter_mut().enumerate() {
            let read = file.take(&format!("state.{number}"), &part.size(), found.rows)?;
            *part = read.f_to_device(device).doing("could not move the state to its device")?;
        }
        if trainer.network.learnable().is_some() {
            let learnable = file.take("learnable", &[-1, 1], found.rows)?;
            trainer.network.replace_learnable(&learnable);
        }
        file.finish()?;
        trainer.state = state;
        trainer.progress = found.progress;
        Ok(trainer)
    }
}

impl Network {
    /// Reads the network of a checkpoint, averaged if it is, without what training needs beside it.
    pub fn load(folder: &Path, device: Device) -> Result<Network, Error> {
        let found = TrainerState::read(folder)?;
        let Settings { shape, vectors, .. } = &found.settings;
        let mut network = Network::new(shape, *vectors, found.seed, device)?;
        network.read(folder, MODEL_FILE, &found)?;
        Ok(network)
    }

    fn read(&mut self, folder: &Path, file: &str, found: &TrainerState) -> Result<(), Error> {
        let mut file = TensorFile::read(folder.join(file))?;
        self.replace(|name, size| file.take(name, size, found.rows))?;
        file.finish()
    }
}

impl TrainerState {
    /// Reads `trainer.json` from a checkpoint's folder.
    pub fn read(folder: &Path) -> Result<TrainerState, Error> {
        let path = folder.join(TRAINER_FILE);
        let text = std::fs::read(&path).map_err(failed("read", &path))?;
        let version: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|error| Error::foreign(&path, error.to_string()))?;
        match version.get("format").and_then(serde_json::Value::as_u64) {
            Some(format) if format == u64::from(FORMAT) => {}
            format => {
                let format = format.map_or("none".to_owned(), |format| format.to_string());
                let reason = format!("its format is {format}, this program reads {FORMAT}");
                return Err(Error::foreign(&path, reason));
            }
        }
        let state: TrainerState = serde_json::from_value(version)
            .map_err(|error| Error::foreign(&path, error.to_string()))?;
        state.settings.check().map_err(|error| Error::foreign(&path, error.to_string()))?;
        Ok(state)
    }
}

impl Frozen {
    /// What is known beside the tensors.
    pub fn trainer(&self) -> &TrainerState {
        &self.trainer
    }

    /// The fingerprint of the weights, as [`Trainer::weights_digest`] gives it.
    pub fn weights_digest(&self) -> String {
        digest::digest(self.model.iter().map(|(name, tensor)| (name.clone(), tensor)).collect())
    }

    /// Writes the files into a folder, which is made if need be, and syncs them.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder).map_err(failed("make", folder))?;
        let trained = self.trained.as_ref().map(|trained| (TRAINED_FILE, trained));
        let files = [
            (MODEL_FILE, &self.model),
            (OPTIMIZER_FILE, &self.optimizer),
            (STATE_FILE, &self.state),
        ];
        for (name, tensors) in files.into_iter().chain(trained) {
            let path = folder.join(name);
            Tensor::write_safetensors(tensors, &path)
                .map_err(|error| failed("write", &path)(of_system(&error.to_string())))?;
            sync(&path)?;
        }
        let path = folder.join(TRAINER_FILE);
        let text = serde_json::to_vec_pretty(&self.trainer).expect("numbers and names serialize");
        std::fs::write(&path, text).map_err(failed("write", &path))?;
        sync(&path)
    }
}

/// The binding hands on what the system said as text only: `… Os { code: 28, kind: … } …`. Callers
/// want to know a full disk when they meet one.
fn of_system(message: &str) -> std::io::Error {
    let code = message.split_once("Os { code: ").and_then(|(_, rest)| rest.split(',').next());
    match code.and_then(|code| code.parse().ok()) {
        Some(code) => std::io::Error::from_raw_os_error(code),
        None => std::io::Error::other(message),
    }
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("sync", path))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { doing, path, source }
}

/// Deep copies on the CPU, each in memory of its own.
fn copied<'a>(tensors: impl IntoIterator<Item = (String, &'a Tensor)>) -> Result<Named, Error> {
    let copy = |tensor: &Tensor| -> Result<Tensor, TchError> {
        let tensor = tensor.detach().f_contiguous()?;
        let mut copy = Tensor::f_empty(tensor.size(), (tensor.kind(), Device::Cpu))?;
        copy.f_copy_(&tensor)?;
        Ok(copy)
    };
    let copies = tensors.into_iter().map(|(name, tensor)| Ok((name, copy(tensor)?)));
    copies.collect::<Result<Named, TchError>>().doing("could not copy the trainer")
}

fn match_settings(found: &Settings, wanted: &Settings) -> Result<(), Error> {
    let (f, w) = (&found.shape, &wanted.shape);
    let pairs = [
        (
            "model.cell",
            format!("{:?}", f.cell).to_lowercase(),
            format!("{:?}", w.cell).to_lowercase(),
        ),
        ("model.layers", f.layers.to_string(), w.layers.to_string()),
        ("model.hidden", f.hidden.to_string(), w.hidden.to_string()),
        ("model.embedding", f.embedding.to_string(), w.embedding.to_string()),
        ("model.tied", f.tied.to_string(), w.tied.to_string()),
        ("model.softmax", f.softmax.to_string(), w.softmax.to_string()),
        (
            "vectors.use_as",
            format!("{:?}", found.vectors).to_lowercase(),
            format!("{:?}", wanted.vectors).to_lowercase(),
        ),
        ("train.optimizer", found.optimizer.name().to_owned(), wanted.optimizer.name().to_owned()),
        ("train.batch", found.batch.to_string(), wanted.batch.to_string()),
    ];
    match pairs.into_iter().find(|(_, found, wanted)| found != wanted) {
        Some((name, found, wanted)) => Err(Error::Mismatch { name, found, wanted }),
        None => Ok(()),
    }
}

/// A file of tensors that are taken out one by one.
struct TensorFile {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
}

impl TensorFile {
    fn read(path: PathBuf) -> Result<TensorFile, Error> {
        match Tensor::read_safetensors(&path) {
            Ok(tensors) => Ok(TensorFile { tensors: tensors.into_iter().collect(), path }),
            Err(error) => match File::open(&path) {
                Err(source) => Err(failed("read", &path)(source)),
                Ok(_) => Err(Error::foreign(&path, error.to_string())),
            },
        }
    }

    /// Takes a float32 tensor of a size in which -1 stands for `rows`.
    fn take(&mut self, name: &str, size: &[i64], rows: usize) -> Result<Tensor, Error> {
        let Some(tensor) = self.tensors.remove(name) else {
            return Err(Error::foreign(&self.path, format!("it has no tensor {name}")));
        };
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let wanted: Vec<i64> = size.iter().map(|&d| if d == -1 { rows } else { d }).collect();
        if tensor.size() != wanted || tensor.kind() != Kind::Float {
            let (kind, size) = (tensor.kind(), tensor.size());
            let reason = format!("its {name} is {kind:?} {size:?} instead of Float {wanted:?}");
            return Err(Error::foreign(&self.path, reason));
        }
        Ok(tensor)
    }

    /// Refuses what nothing has asked for: such a file is another model's.
    fn finish(self) -> Result<(), Error> {
        match self.tensors.keys().next() {
            Some(name) => {
                Err(Error::foreign(&self.path, format!("it has a tensor {name} too many")))
            }
            None => Ok(()),
        }
    }
}
