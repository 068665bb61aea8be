//! A run as it stands at its newest valid checkpoint, opened to read: to write with, to score with,
//! or to look at.

pub mod voice;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{DeviceChoice, Network, Sampler};
use operators::{
    analyzer::Dictionary,
    batch::Batch,
    catalogue::files::{self, FilesError},
    extract::{Extractor, Rule, Unreadable, fingerprint},
    record::{Document, DocumentRow, Entry, Words},
    tokenize::Tokenizer,
};

use crate::{
    checkpoint::{self, CheckpointError, Manifest, ModelState, State},
    directory::{self, DirectoryError},
    drive::open_dictionary,
    error::RunError,
    learner::pupil::SetAside,
};

/// Why a run cannot be read, or a text not be scored.
#[derive(Debug, thiserror::Error)]
pub enum TrainedError {
    /// There is no run.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Its checkpoints cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The dictionary cannot be opened, say.
    #[error(transparent)]
    Run(#[from] Box<RunError>),
    /// The files cannot be listed.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A file cannot be read.
    #[error("could not read \"{}\": {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file has no text.
    #[error("could not take text from \"{}\": {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Unreadable,
    },
    /// The run has no model of this name.
    #[error("the run has no model \"{name}\"; it has {there_are}")]
    NoSuchModel {
        /// The name.
        name: String,
        /// The names that there are.
        there_are: String,
    },
    /// The model was set aside, and has no weights.
    #[error("model \"{name}\" has no weights: it {why}; name another with --model")]
    SetAside {
        /// The name.
        name: String,
        /// What became of it.
        why: SetAside,
    },
    /// Nothing was held out.
    #[error("the run holds nothing out yet; name files to score, or set held_out.share higher")]
    NothingHeldOut,
}

/// What a run's newest valid checkpoint says, without the model.
#[derive(Debug)]
pub struct Looked {
    /// The checkpoint's folder.
    pub path: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Newer checkpoints that are damaged, with the reason.
    pub passed_over: Vec<(PathBuf, String)>,
}

/// Looks at a run.
///
/// # Errors
/// If there is none, or none of its checkpoints is whole.
pub fn look(run: &Path) -> Result<Looked, TrainedError> {
    let choice = checkpoint::newest(&directory::checkpoints(run))?;
    match choice.valid {
        Some((path, manifest)) => Ok(Looked { path, manifest, passed_over: choice.passed_over }),
        None => Err(DirectoryError::Empty { path: run.into() }.into()),
    }
}

/// The model that is meant.
fn chosen<'a>(
    models: &'a [ModelState],
    name: Option<&str>,
) -> Result<&'a ModelState, TrainedError> {
    let has_weights = |model: &&ModelState| model.trainer.is_some();
    let found = match name {
        Some(name) => models.iter().find(|model| model.name == name),
        None => models.iter().find(has_weights).or(models.first()),
    };
    let names = || models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>().join(", ");
    let Some(model) = found else {
        let name = name.unwrap_or_default().to_owned();
        return Err(TrainedError::NoSuchModel { name, there_are: names() });
    };
    match model.record.set_aside {
        Some(why) => Err(TrainedError::SetAside { name: model.name.clone(), why }),
        None => Ok(model),
    }
}

/// A model with the vocabulary it was trained on and the analyzer that cuts text for it.
pub struct Trained {
    /// The network.
    pub network: Network,
    /// What is known of the model beside its tensors.
    pub model: ModelState,
    /// What the river knew.
    pub state: State,
    /// The checkpoint's manifest.
    pub manifest: Manifest,
    // The checkpoint's folder.
    path: PathBuf,
    dictionary: Arc<Dictionary>,
}

impl Trained {
    /// Opens a run on a device (`auto`, `cpu` or `cuda:N`).
    ///
    /// # Errors
    /// As [`look`], and if model, dictionary or device cannot be had.
    pub fn open(run: &Path, device: &str) -> Result<Self, TrainedError> {
        Self::open_model(run, None, device)
    }

    /// Opens one of a run's models; without a name, the only one or the first that was not set aside.
    ///
    /// # Errors
    /// As [`Self::open`], and if there is no such model, or it was set aside and has no weights.
    pub fn open_model(run: &Path, name: Option<&str>, device: &str) -> Result<Self, TrainedError> {
        let Looked { path, manifest, .. } = look(run)?;
        let model = chosen(&manifest.models, name)?.clone();
        let job = directory::noted(run);
        model::device::set_threads(job.threads());
        Ok(Self {
            network: Network::load(
                &checkpoint::model_folder(&path, &model.name),
                device.parse::<DeviceChoice>()?.resolve()?,
            )?,
            model,
            state: State::read(&path)?,
            manifest,
            path,
            dictionary: open_dictionary(&job).map_err(Box::new)?,
        })
    }

    /// The ids of a text, as this model reads it.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        let words = self.words(Entry::default(), [0; 32], text);
        let words = words.iter().next().expect("one document");
        let rows = self.network.rows() as u32;
        self.state.vocabulary.encode(words.keys, words.surfaces.iter().flatten(), rows).ids
    }

    /// A text that goes on from `prompt` by `words` ids.
    ///
    /// # Errors
    /// If the sampler's settings leave nothing to say, or libtorch fails.
    pub fn write(
        &self,
        prompt: &str,
        words: usize,
        sampler: Sampler,
    ) -> Result<String, TrainedError> {
        let ids = self.ids(prompt);
        let written = sampler.generate(&self.network, &ids, words, &[])?;
        let written = written.collect::<Result<Vec<u32>, _>>()?;
        Ok(self.state.vocabulary.decode(&written))
    }

    /// The documents that files have: plain text or HTML (its `.main_text`, else its body), in any
    /// charset.
    ///
    /// # Errors
    /// If one cannot be read or has no text.
    fn documents_of(&self, patterns: &[String]) -> Result<Vec<Batch<Words>>, TrainedError> {
        let rule = Rule::Sniffed(".main_text, body:not(:has(.main_text))".into());
        let extractor = Extractor::new(&rule).expect("our own selector");
        let mut documents = Vec::new();
        for file in files::entries(patterns)? {
            let path = file.url.to_file_path().expect("files have paths");
            let body = std::fs::read(&path)
                .map_err(|source| TrainedError::File { path: path.clone(), source })?;
            let text = extractor
                .text(&body, None)
                .map_err(|source| TrainedError::Unreadable { path, source })?;
            documents.push(self.words(Entry::default(), [0; 32], &text));
        }
        Ok(documents)
    }

    fn words(&self, entry: Entry, content: [u8; 32], text: &str) -> Batch<Words> {
        let document = DocumentRow {
            entry,
            content,
            fingerprint: fingerprint(text),
            characters: text.chars().count() as u64,
            text,
        };
        let documents = Batch::<Document>::of(0, [document]);
        Tokenizer::new(Arc::clone(&self.dictionary)).tokenize(&documents)
    }
}
