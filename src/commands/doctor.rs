//! `seseragi doctor`

use clap::Args;
use model::device::CudaHalf;
use operators::analyzer::{Analyzer, Dictionary};
use serde_json::json;

use super::print_json;

/// Checks what seseragi needs on this machine, and says what is missing and how to get it
#[derive(Args)]
#[command(after_help = "Example:
  seseragi doctor --json")]
pub struct Doctor {
    /// Prints the findings as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Looks and prints; fails if something is missing that every job needs.
    pub fn execute(self) -> anyhow::Result<()> {
        let torch = model::device::describe();
        let home = Dictionary::locate();
        let dictionary = Dictionary::open(&home);
        let words = dictionary.as_ref().ok().map(|dictionary| {
            let mut words = Vec::new();
            Analyzer::new(dictionary.clone())
                .words("小川がせせらぐ。", |word| words.push(word.surface));
            words.join("|")
        });
        if self.json {
            print_json(&json!({
                "version": env!("CARGO_PKG_VERSION"),
                "torch": torch.torch,
                "torch_directory": torch.folder,
                "cpu": torch.cpu_capability,
                "threads": torch.threads,
                "cuda": format!("{:?}", torch.cuda_half),
                "gpus": torch.gpus,
                "dictionary": home,
                "dictionary_trouble": dictionary.as_ref().err().map(ToString::to_string),
                "segmentation": words,
            }))?;
        } else {
            println!("seseragi    {}", env!("CARGO_PKG_VERSION"));
            println!(
                "torch       {} ({}, {} threads)",
                torch.torch, torch.cpu_capability, torch.threads
            );
            println!("cuda        {}", told(&torch.cuda_half));
            match torch.gpus.as_slice() {
                [] => println!("gpus        none; training runs on the CPU"),
                gpus => println!("gpus        {}", gpus.join(", ")),
            }
            if let Some(words) = words {
                println!("dictionary  {}: {words}", home.display());
            }
        }
        dictionary?;
        Ok(())
    }
}

fn told(half: &CudaHalf) -> String {
    match half {
        CudaHalf::Loaded => "libtorch's CUDA half is loaded".into(),
        CudaHalf::Absent => "not there; on a machine with an NVIDIA GPU run \
                             scripts/setup-libtorch.sh cuda"
            .into(),
        CudaHalf::Broken(reason) => format!("there but does not load: {reason}"),
    }
}
