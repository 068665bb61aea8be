//! Draws a run anew while it goes on.

use std::{
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use graphs::{directory, job::Job};

use super::{draw, figures, measured};
use crate::tensorboard;

/// The thread that draws. It only reads the metrics, at the lowest priority: training neither waits
/// for it nor stops with it.
pub struct Watch {
    ends: Sender<()>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Draws the job's run at its intervals, unless it is not to be drawn.
    pub fn start(job: &Job) -> Option<Self> {
        let every = job.plots.every_seconds;
        if every <= 0.0 {
            return None;
        }
        let (ends, ended) = bounded::<()>(0);
        let (run, with_tensorboard) = (job.directory.clone(), job.plots.tensorboard);
        let watch = move || {
            // On Linux a thread has a priority of its own. Without it drawing is as good.
            let _the_system_refuses = rustix::process::nice(19);
            let mut drawn = 0;
            loop {
                let waited = ended.recv_timeout(Duration::from_secs_f64(every));
                let length = length(&directory::metrics(&run));
                if length != drawn {
                    drawn = length;
                    if let Err(trouble) = refresh(&run, with_tensorboard) {
                        say!("could not draw the run, which goes on all the same: {trouble:#}");
                    }
                }
                if waited != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("plots".into()).spawn(watch).ok()?;
        Some(Self { ends, thread })
    }

    /// Draws once more, and ends.
    pub fn end(self) {
        drop(self.ends);
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

fn refresh(run: &Path, with_tensorboard: bool) -> anyhow::Result<Vec<PathBuf>> {
    let measured = measured(run)?;
    let folder = directory::plots(run);
    if with_tensorboard {
        tensorboard::write(&folder.join("tensorboard"), &measured.1)?;
    }
    Ok(draw(&folder, &figures(&[measured]), &["svg", "png"])?)
}
