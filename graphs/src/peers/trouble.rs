//! What can go wrong between processes.

/// Why the processes of a job cannot work together, or not any more.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PeersError {
    /// Its own address cannot be listened at.
    #[error(
        "could not listen at {address}: {cause}; the hosts file must name an address of this machine, on a \
         port that no other program has, for process {process}"
    )]
    Listen {
        /// This process.
        process: usize,
        /// Its address.
        address: String,
        /// What the system said.
        cause: String,
    },
    /// Others did not come.
    #[error(
        "waited {seconds} s for {missing}{cause}; start every process with the same job and hosts file, or \
         wait longer with --wait"
    )]
    Absent {
        /// Who did not come.
        missing: String,
        /// How long they were waited for.
        seconds: u64,
        /// What the last try said, with a colon before it.
        cause: String,
    },
    /// Asked to end before all were there.
    #[error("asked to end before all processes were there; nothing has begun")]
    Interrupted,
    /// Another process has another job, or is another program.
    #[error("{whom} cannot take part: {reason}")]
    Differs {
        /// The other process.
        whom: String,
        /// What differs, and what to do.
        reason: String,
    },
    /// The owner's process does not want this one.
    #[error("{whom} refused this process: {reason}")]
    Refused {
        /// The owner's process.
        whom: String,
        /// What differs, and what to do.
        reason: String,
    },
    /// A process has gone without a word.
    #[error(
        "lost {whom} ({cause}): it was killed, or its machine or the network failed; the newest checkpoint \
         stays: start every process again, as many as you like, and the run goes on from there"
    )]
    Lost {
        /// The process.
        whom: String,
        /// What was seen of it.
        cause: String,
    },
    /// A process cannot go on, and has said why.
    #[error("{whom} cannot go on: {reason}")]
    Stopped {
        /// The process.
        whom: String,
        /// Its own words.
        reason: String,
    },
    /// A process does not answer.
    #[error("{whom} has not answered for {seconds} s")]
    Silent {
        /// The process.
        whom: String,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl PeersError {
    /// Whether the trouble is in what the processes were started with.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Listen { .. } | Self::Differs { .. } | Self::Refused { .. })
    }
}
