//! What a dial did, step by step.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// How a dial went: a fact in the scope of the [`Connect`](chaski_core::Connect), whether it succeeded or failed. Of a dial
/// whose future was dropped there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialReport {
    /// The resolver's answer, in its order; empty when there was nothing to resolve.
    pub resolved: Vec<IpAddr>,
    /// How long the resolver took; `None` when there was nothing to resolve.
    pub resolving: Option<Duration>,
    /// The attempts, in the order in which they began.
    pub attempts: Vec<DialAttempt>,
    /// How long the whole dial took.
    pub elapsed: Duration,
}

impl DialReport {
    /// The address that was connected.
    #[must_use]
    pub fn chosen(&self) -> Option<SocketAddr> {
        self.attempts.iter().find(|attempt| attempt.outcome == DialOutcome::Connected).map(|attempt| attempt.addr)
    }
}

/// One address that a dial tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DialAttempt {
    /// The address.
    pub addr: SocketAddr,
    /// When it began, counted from the beginning of the dial.
    pub began: Duration,
    /// How long it took, or was under way when the dial ended.
    pub elapsed: Duration,
    /// What came of it.
    pub outcome: DialOutcome,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialOutcome {
    /// It won.
    Connected,
    /// It failed.
    Failed(io::ErrorKind),
    /// It took longer than the limit for one attempt.
    TimedOut,
    /// The address policy refused it, and nothing was sent.
    Refused,
    /// It was under way when another one won, or when the limit for the whole dial passed, and was dropped.
    Abandoned,
}
