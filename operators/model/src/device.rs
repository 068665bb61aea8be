//! Chooses where tensors live, and readies the process for libtorch.
//!
//! One binary serves machines with and without a GPU: it is linked against the CPU half of libtorch,
//! and the CUDA half is loaded at run time from the folder of the half that is in use, if it is
//! there. That must happen **before anything asks libtorch about CUDA**, because the first question
//! settles the answer for good; so ask through this module only.

mod cuda;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tch::Device;

use crate::{Error, ext};

/// Where a job wants its tensors: `auto`, `cpu`, or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    /// The first GPU if there is a usable one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// This GPU, or nothing.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(text: &str) -> Result<DeviceChoice, Error> {
        let number = match text {
            "auto" => return Ok(DeviceChoice::Auto),
            "cpu" => return Ok(DeviceChoice::Cpu),
            "cuda" => "0",
            _ => text.strip_prefix("cuda:").unwrap_or_default(),
        };
        number.parse().map(DeviceChoice::Cuda).map_err(|_| Error::Device {
            device: text.to_owned(),
            reason: "there is no such kind; use auto, cpu or cuda:0".to_owned(),
        })
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = Error;

    fn try_from(text: String) -> Result<DeviceChoice, Error> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> String {
        choice.to_string()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => write!(f, "auto"),
            DeviceChoice::Cpu => write!(f, "cpu"),
            DeviceChoice::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceChoice {
    /// The device that is meant, on this machine. Loads the CUDA half unless the CPU is asked for.
    pub fn resolve(self) -> Result<Device, Error> {
        match self {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Auto => Ok(if gpus() > 0 { Device::Cuda(0) } else { Device::Cpu }),
            DeviceChoice::Cuda(number) if number < gpus() => Ok(Device::Cuda(number)),
            DeviceChoice::Cuda(_) => {
                let reason = match cuda_half() {
                    CudaHalf::Loaded => format!("there are {} GPUs; use cpu or auto", gpus()),
                    CudaHalf::Absent => {
                        "this libtorch has no CUDA half; set up the one with CUDA, or use cpu"
                            .to_owned()
                    }
                    CudaHalf::Broken(message) => {
                        format!("libtorch_cuda.so does not load: {message}")
                    }
                };
                Err(Error::Device { device: self.to_string(), reason })
            }
        }
    }
}

/// What became of libtorch's CUDA half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CudaHalf {
    /// Loaded; whether there is a GPU is another question.
    Loaded,
    /// Not there: a libtorch for the CPU only.
    Absent,
    /// There, but the dynamic linker refused it.
    Broken(String),
}

/// Loads libtorch's CUDA half, once for the process.
pub fn cuda_half() -> &'static CudaHalf {
    static HALF: OnceLock<CudaHalf> = OnceLock::new();
    HALF.get_or_init(cuda::load)
}

/// How many GPUs libtorch can use.
pub fn gpus() -> usize {
    match cuda_half() {
        CudaHalf::Loaded if tch::Cuda::is_available() => {
            usize::try_from(tch::Cuda::device_count()).unwrap_or(0)
        }
        _ => 0,
    }
}

/// Sets how many threads one tensor operation may use: those of the calling thread, and of threads that
/// have not touched a tensor yet. Results are reproducible bit for bit only with the same number.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}

/// Tells the allocator to keep what is freed: a step frees and takes the same hundreds of megabytes
/// again, and handing them back to the system costs a page fault for every 4 KiB each time (a step of
/// 2 × 512 LSTM over 20,000 words: 180,000 faults and 0.35 s of the system's time; with this none).
///
/// Call it at the start of a process that trains, before there are threads. The price: the process
/// keeps its highest use of memory until it ends, and all threads allocate from one arena. (With
/// several, the trainer's thread would get one made of 64 MiB pieces, and these settings would not
/// reach what does not fit into a piece.) Without glibc this does nothing.
#[allow(unsafe_code)] // three calls of mallopt, which takes numbers
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: changes parameters of malloc under its own lock.
    unsafe {
        // Large blocks come from the heap, not from mappings of their own …
        libc::mallopt(libc::M_MMAP_MAX, 0);
        // … whose top is not given back …
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
        // … whichever thread asks.
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// What a user wants to know of this machine's libtorch.
#[derive(Clone, Debug)]
pub struct Description {
    /// Version that the program was compiled against.
    pub torch: String,
    /// Folder of the libtorch in use.
    pub folder: Option<PathBuf>,
    /// The instruction set of its CPU kernels, like `AVX2`.
    pub cpu_capability: String,
    /// Threads of one tensor operation.
    pub threads: usize,
    /// What became of the CUDA half.
    pub cuda_half: CudaHalf,
    /// Names of the GPUs that libtorch can use.
    pub gpus: Vec<String>,
}

/// Looks at this machine's libtorch; loads the CUDA half if it is there.
pub fn describe() -> Description {
    let cuda_half = cuda_half().clone();
    Description {
        torch: ext::torch_version(),
        folder: cuda::libtorch_folder(),
        cpu_capability: ext::cpu_capability(),
        threads: usize::try_from(tch::get_num_threads()).unwrap_or(1),
        cuda_half,
        gpus: (0..gpus()).map(cuda::name).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_as_they_are_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:11"] {
            assert_eq!(text.parse::<DeviceChoice>().expect("a choice").to_string(), text);
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "CPU"] {
            let message = text.parse::<DeviceChoice>().expect_err("no choice").to_string();
            assert!(message.contains(&format!("\"{text}\"")), "{message}");
        }
    }

    #[test]
    fn auto_never_fails_and_a_gpu_that_is_not_there_is_named() {
        assert!(DeviceChoice::Auto.resolve().is_ok());
        assert_eq!(DeviceChoice::Cpu.resolve().expect("always there"), Device::Cpu);
        let message = DeviceChoice::Cuda(99).resolve().expect_err("not there").to_string();
        assert!(message.contains("cuda:99"), "{message}");
    }

    #[test]
    fn the_description_names_the_libtorch_that_is_mapped() {
        let description = describe();
        assert!(description.torch.starts_with("2.11"), "{description:?}");
        let folder = description.folder.expect("tensors were used, so it is mapped");
        assert!(folder.join("libtorch_cpu.so").is_file());
        assert_eq!(
            description.cuda_half == CudaHalf::Absent,
            !folder.join("libtorch_cuda.so").exists()
        );
    }
}
