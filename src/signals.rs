//! Ctrl-C and SIGTERM: the first one drains the job to a commit, a second one ends it at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

/// Sets `drain` on the first signal, and says so; ends the process on the second.
///
/// # Errors
/// If the system takes no handlers.
pub fn drain_on_signal(drain: Arc<AtomicBool>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if drain.swap(true, Ordering::AcqRel) {
                say!("stopped at once; the newest checkpoint stays");
                // Without the exit handlers: libtorch's would pull it from under the trainer.
                signal_hook::low_level::exit(128 + signal);
            }
            say!("draining to a commit; once more stops at once");
        }
    })?;
    Ok(())
}
