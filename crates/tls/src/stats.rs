use std::sync::atomic::{AtomicU64, Ordering};

use crate::Negotiated;

/// How many handshakes there were, since the layer was made; told by [`AcceptLayer::stats`](crate::AcceptLayer::stats) and
/// [`ConnectLayer::stats`](crate::ConnectLayer::stats). One that was given up, because its future was dropped, is in none of
/// the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeStats {
    /// Those in which certificates were shown.
    pub full: u64,
    /// Those that went on with an earlier session.
    pub resumed: u64,
    /// Those that failed.
    pub failed: u64,
}

/// The counts as they grow. They are read one by one, and none decides on anything.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    full: AtomicU64,
    resumed: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub(crate) fn done(&self, negotiated: &Negotiated) {
        let count = if negotiated.is_resumed() { &self.resumed } else { &self.full };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> HandshakeStats {
        HandshakeStats {
            full: self.full.load(Ordering::Relaxed),
            resumed: self.resumed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}
