use std::{fmt, io, time::Duration};

/// What a relay moved, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayReport {
    /// Bytes read from the accepted side and written to the dialed one: those that its IO took, not those that were read.
    pub a_to_b: u64,
    /// Bytes read from the dialed side and written to the accepted one.
    pub b_to_a: u64,
    /// How many of both counts' bytes were moved in the kernel, by [`splice`](super::RelayConfig::splice), and not copied.
    pub spliced: u64,
    /// How it ended.
    pub outcome: RelayOutcome,
    /// How long it took.
    pub elapsed: Duration,
    /// When, from the start of the relay, the dialed side's first byte was read; `None` if it sent nothing.
    pub first_byte: Option<Duration>,
}

/// How a relay ended. `Display` is short, for logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayOutcome {
    /// Both sides ended their streams, and each was told of the other's end.
    Complete,
    /// The dialed side had sent nothing within [`RelayConfig::first_byte`](super::RelayConfig::first_byte).
    FirstByteTimeout,
    /// No byte moved within [`RelayConfig::idle`](super::RelayConfig::idle).
    IdleTimeout,
    /// One direction had ended, and no byte moved in the other within
    /// [`RelayConfig::drain`](super::RelayConfig::drain).
    DrainTimeout,
    /// All bytes were delivered, but the shutdown of this side's write half took longer than
    /// [`RelayConfig::shutdown`](super::RelayConfig::shutdown).
    ShutdownTimeout {
        /// The side that could not be told of the end.
        side: RelaySide,
    },
    /// One side failed; of several errors the first.
    Failed {
        /// The side whose IO failed.
        side: RelaySide,
        /// What was being done with it.
        during: RelayStep,
        /// The error. A write that took no byte is `WriteZero`.
        kind: io::ErrorKind,
    },
}

impl fmt::Display for RelayOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("complete"),
            Self::FirstByteTimeout => f.write_str("first byte timeout"),
            Self::IdleTimeout => f.write_str("idle timeout"),
            Self::DrainTimeout => f.write_str("drain timeout"),
            Self::ShutdownTimeout { side } => write!(f, "{side} shutdown timeout"),
            Self::Failed { side, during, kind } => write!(f, "{side} {during} failed: {kind}"),
        }
    }
}

/// One of the two sides of a [`Bridge`](chaski_core::Bridge).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelaySide {
    /// The side that was accepted.
    A,
    /// The side that was dialed.
    B,
}

impl fmt::Display for RelaySide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "accepted side",
            Self::B => "dialed side",
        })
    }
}

/// What a relay does with a side's IO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RelayStep {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Flushing what was written.
    Flush,
    /// Shutting down the write half.
    Shutdown,
}

impl fmt::Display for RelayStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Shutdown => "shutdown",
        })
    }
}
