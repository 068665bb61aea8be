//! Jobs of several models over the sample library: small, quick, on one thread each.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A model with a step so long that its weights are no numbers any more.
pub const WILD: &str = "name = \"wild\"\ncell = \"irnn\"\n\
                        train = { optimizer = \"sgd\", learning_rate = 1e30, clip = \"none\" }\n";

/// Writes the job `name` with these models into the folder, and has its run directory there.
pub fn job(folder: &Path, name: &str, models: &[&str]) -> PathBuf {
    let path = folder.join(format!("{name}.toml"));
    let directory = folder.join(name);
    let mut text = format!(
        "directory = {directory:?}\nworkers = 2\n[[source]]\nkind = \"sample\"\n\
         [vocabulary]\nlimit = 600\n[chunk]\nwords = 2000\n\
         [train]\nthreads = 1\ndevice = \"cpu\"\nbatch = 4\nsequence = 16\n\
         [held_out]\nshare = 0.1\nevery = \"3 chunks\"\nwords = 500\n\
         [commit]\nevery = \"0 s\"\n[plots]\nevery_seconds = 0\n"
    );
    for model in models {
        text += &format!("[[model]]\nlayers = 1\nhidden = 16\nembedding = 8\n{model}");
    }
    fs::write(&path, text).expect("a folder of ours");
    path
}
