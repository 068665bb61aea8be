//! The two programs that are one: the face, which starts at once, and the engine, which has libtorch.
//!
//! To load libtorch costs a process 0.3 s, whatever it is started for. So the face is linked without
//! it. What needs no model the face does itself; for the rest it becomes the engine, which lies beside it:
//! the same process, with the same arguments. The engine does everything, and may be started directly.
//!
//! Which command needs the model is said in one place, where commands are executed: those that do
//! are handed to [`Half::with_model`] in a closure. The face never calls it, so no code behind it is
//! made for the face, and the linker finds nothing there that would need libtorch (`build.rs`;
//! `tests/start.rs` holds it to that).

use std::{
    convert::Infallible, env, io, os::unix::process::CommandExt, path::Path, process::Command,
    thread,
};

use anyhow::{Context, bail};

/// What the engine's file is called.
const ENGINE: &str = concat!(env!("CARGO_PKG_NAME"), "-engine");

/// One of the two programs.
pub trait Half {
    /// Does what needs the model.
    fn with_model(self, execute: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()>;
}

/// The program that has no model, and becomes the one that has.
pub struct Face;

impl Half for Face {
    fn with_model(self, _is_done_there: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        let program = env::current_exe().context("could not find out where this program lies")?;
        let engine = program.with_file_name(ENGINE);
        if !engine.exists() {
            bail!(
                "could not find the engine, which does what needs the model: it is not beside this \
                 program, at \"{}\"; put it there, or build both with `cargo build --release`",
                engine.display()
            );
        }
        let Err(failure) = become_program(&engine);
        Err(failure).with_context(|| format!("could not start the engine \"{}\"", engine.display()))
    }
}

/// The program that has the model.
pub struct Engine;

impl Half for Engine {
    /// Does it here. One that the face has not started begins anew, for its environment's sake.
    fn with_model(self, execute: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
        if !is_told_how_to_wait()
            && let Ok(program) = env::current_exe()
        {
            // If it cannot, it goes on as it is: the same sums, only slower on busy cores.
            let Err(_failure) = become_program(&program);
        }
        execute()
    }
}

/// How the engine's allocator, jemalloc, is told what to do.
const MEMORY: &str = "_RJEM_MALLOC_CONF";

/// How it deals with the system, unless someone has said otherwise (measured in docs/benchmarks/log.md).
fn memory_settings() -> String {
    // Each arena keeps what was freed in it for itself, so there are few; but threads that want large blocks
    // wait for each other at one.
    let arenas = thread::available_parallelism().map_or(2, |cores| cores.get() / 4).max(2);
    // What was freed goes back to the system two seconds later, if anything is allocated then. To give it
    // back costs every core a little; sooner, a river holds a few MiB less.
    // No huge pages: each thread touches many a little, and the system clears two megabytes at a time.
    format!("narenas:{arenas},dirty_decay_ms:2000,thp:never")
}

/// Whether someone has said how OpenMP's threads wait; then it is left at that.
fn is_told_how_to_wait() -> bool {
    WAITING.iter().any(|(name, _)| env::var_os(name).is_some())
}

/// How OpenMP's threads wait for each other, unless someone has said otherwise: awake for up to half a
/// millisecond, then asleep (measured in docs/benchmarks/log.md).
///
/// By default they stay awake for several milliseconds. While the workers, or other programs, have the
/// cores, each wait lasts until the scheduler steps in: training was seen to slow a hundredfold. To sleep
/// at once costs a seventh of a step of hundreds of barriers on idle cores. The count holds as long as no
/// more threads wait than there are cores; each thread of ours that computes on several has its own, so only
/// the learner does (graphs/src/run.rs). `active` is for what holds beyond that, where several models learn:
/// a thousand, in place of a hundred. No sum depends on any of it.
const WAITING: [(&str, &str); 2] = [("OMP_WAIT_POLICY", "active"), ("GOMP_SPINCOUNT", "10000")];

/// Has this process become another program, with the same arguments, with OpenMP told how to wait, and the
/// allocator how to deal with memory. It returns only if it fails.
///
/// The library reads its environment when it is loaded, which is before `main`: so the program before it
/// has to say so.
fn become_program(program: &Path) -> io::Result<Infallible> {
    let mut command = Command::new(program);
    let mut arguments = env::args_os();
    // Under the name that the user called: usage and advice repeat it.
    command.arg0(arguments.next().unwrap_or_default()).args(arguments);
    if !is_told_how_to_wait() {
        command.envs(WAITING);
    }
    if env::var_os(MEMORY).is_none() {
        command.env(MEMORY, memory_settings());
    }
    Err(command.exec())
}
