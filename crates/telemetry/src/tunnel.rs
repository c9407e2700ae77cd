use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chaski_core::http::Message;

/// What a tunnel has carried and how it ended: the fact by which a relay tells the access log and the counters.
///
/// The layers of this crate add it to the scope of every request that may become a tunnel: a CONNECT request, and one with
/// an `Upgrade` field. Whoever answers it finds the fact on the request, or through the scope of the upgraded connection;
/// a clone is the same record. The line is written when the tunnel's continuation has ended, or was dropped: then the
/// outcome is what [`finish`](Self::finish) said, else `ok` for one that ended by itself and `cut` for one that was dropped,
/// with the figures that [`watch`](Self::watch) gives.
///
/// ```
/// use chaski_telemetry::TunnelRecord;
///
/// let record = TunnelRecord::new();
/// record.finish(120, 4_096, "idle");
/// assert_eq!(record.bytes(), (120, 4_096));
/// ```
#[derive(Clone, Default)]
pub struct TunnelRecord(Arc<Mutex<State>>);

type Counts = Box<dyn Fn() -> (u64, u64) + Send>;

#[derive(Default)]
struct State {
    up: u64,
    down: u64,
    outcome: Option<Box<str>>,
    live: Option<Counts>,
}

impl TunnelRecord {
    /// A record of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a way to the figures while the tunnel runs, for one that is cut: the bytes from the client and those to it.
    ///
    /// The function is called by whoever asks for the figures, and must not block, nor hold a handle to the scope that this record is a fact
    /// of. A later one replaces it; [`finish`](Self::finish) drops it.
    pub fn watch(&self, counts: impl Fn() -> (u64, u64) + Send + 'static) {
        let earlier = self.lock().live.replace(Box::new(counts));
        drop(earlier);
    }

    /// Says how the tunnel ended: the bytes from the client, the bytes to it, and a word on the outcome, such as `ok`,
    /// `idle` or `reset`. The last call counts.
    pub fn finish(&self, bytes_up: u64, bytes_down: u64, outcome: &str) {
        let mut state = self.lock();
        (state.up, state.down, state.outcome) = (bytes_up, bytes_down, Some(outcome.into()));
        let live = state.live.take();
        drop(state);
        drop(live);
    }

    /// The bytes from the client and those to it, as far as they are known now.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let state = self.lock();
        state.live.as_ref().map_or((state.up, state.down), |counts| counts())
    }

    /// The word that [`finish`](Self::finish) was given.
    #[must_use]
    pub fn outcome(&self) -> Option<Box<str>> {
        self.lock().outcome.clone()
    }

    /// The record of a request; made when no layer further out has made it.
    pub(crate) fn of(request: &mut impl Message) -> Self {
        if let Some(record) = request.fact::<Self>() {
            return record.clone();
        }
        let record = Self::new();
        request.scope().insert(record.clone());
        record
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TunnelRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("TunnelRecord")
            .field("up", &state.up)
            .field("down", &state.down)
            .field("outcome", &state.outcome)
            .finish_non_exhaustive()
    }
}
