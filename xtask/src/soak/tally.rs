//! What has happened, how often, and what should not have.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Declares the kinds with the words for them.
macro_rules! kinds {
    ($($name:ident: $words:literal,)*) => {
        /// A kind of transfer, or of fault. Each is counted when its outcome was seen to be the right one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind { $($name,)* }

        impl Kind {
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];
        }

        impl fmt::Display for Kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$name => $words,)* })
            }
        }
    };
}

kinds! {
    Get: "answers with a length",
    Chunked: "answers in chunks",
    UntilClose: "answers up to the end of the connection",
    Upload: "uploads with a length",
    UploadChunked: "uploads in chunks",
    Pipelined: "pipelined requests",
    Echo: "requests to the echo server",
    Bulk: "tunnels with bulk both ways",
    Talk: "tunnels with many small messages",
    HalfClose: "tunnels with half-close",
    WebSocket: "WebSocket frames in a tunnel",
    SlowReader: "slow readers",
    NoCredentials: "no credentials: 407",
    WrongCredentials: "a wrong password: 407",
    ClientGarbage: "garbage from a client: 400 or 431",
    EchoGarbage: "garbage to the echo server: 400 or 431",
    SlowHead: "a head that stops: 408",
    SlowUpload: "an upload that stops: 408",
    VanishDownload: "clients that vanish in an answer",
    VanishUpload: "clients that vanish in an upload",
    VanishTunnel: "clients that vanish in a tunnel",
    Refused: "nobody listens: 502",
    Garbage: "garbage from an origin: 502",
    Nothing: "an origin that closes at once: 502",
    Switched: "101 that nobody asked for: 502",
    Stalled: "an origin that does not answer: 504",
    StalledBody: "an answer that stops: cut",
    Reset: "an answer that is reset: cut",
    Short: "an answer that ends early: cut",
    CutChunks: "chunks that end early: cut",
    ResetUpload: "an upload that is reset: 502 or cut",
    Early: "an answer ahead of the upload: 413",
    ResetTunnel: "a tunnel that the far end resets: closed",
    StalledTunnel: "a tunnel in which nothing happens: closed",
    Killed: "requests that met a killed origin: 502 or cut",
    Restarted: "requests to the restarted origin",
    Reload: "users read again: in and out",
    Flood: "connection floods",
}

/// Counts, failures, and the end.
#[derive(Debug)]
pub(super) struct Tally {
    counts: Vec<AtomicU64>,
    failures: Mutex<Vec<String>>,
    stopped: AtomicBool,
    /// For those that pause.
    ring: (Mutex<()>, Condvar),
}

impl Tally {
    pub(super) fn new() -> Self {
        let counts = Kind::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self { counts, failures: Mutex::default(), stopped: AtomicBool::new(false), ring: Default::default() }
    }

    fn cell(&self, kind: Kind) -> Option<&AtomicU64> {
        self.counts.get(kind as usize)
    }

    pub(super) fn add(&self, kind: Kind) {
        if let Some(cell) = self.cell(kind) {
            cell.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.cell(kind).map_or(0, |cell| cell.load(Relaxed))
    }

    pub(super) fn total(&self) -> u64 {
        self.counts.iter().map(|cell| cell.load(Relaxed)).sum()
    }

    /// A failure ends the run: what follows one is seldom worth reading.
    pub(super) fn fail(&self, what: String) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        self.stop();
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Relaxed);
        let _held = self.ring.0.lock();
        self.ring.1.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Relaxed)
    }

    /// Waits so long, or until the end. Whether it goes on.
    pub(super) fn pause(&self, limit: Duration) -> bool {
        let guard = self.ring.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.ring.1.wait_timeout_while(guard, limit, |()| !self.is_stopped()));
        !self.is_stopped()
    }

    /// Waits until this has happened more often than that, or until the end.
    pub(super) fn more_than(&self, kind: Kind, count: u64, limit: Duration) -> bool {
        let step = Duration::from_millis(5);
        let steps = limit.as_millis() / step.as_millis();
        (0..steps).any(|_| self.count(kind) > count || !self.pause(step)) && !self.is_stopped()
    }

    /// What has never happened.
    pub(super) fn missing(&self) -> Vec<Kind> {
        Kind::ALL.iter().copied().filter(|kind| self.count(*kind) == 0).collect()
    }
}
