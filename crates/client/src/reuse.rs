//! The fact that tells how a response's connection was come by.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How the connection of a response was come by. Found on the response, and in the scope of an error that came of a
/// connection.
///
/// A connection carries one of these, which says that it was kept and was there at once; so a request that finds one waiting
/// adds nothing. Only a call that had to dial or to wait, or that found a connection to another host, adds another one to the
/// scope of its own response, where it hides that of the connection.
///
/// ```
/// use chaski_client::ConnectionReuse;
/// use chaski_core::http::{Message, Response};
///
/// fn log(response: &Response) {
///     if let Some(connection) = response.fact::<ConnectionReuse>() {
///         println!("reused: {}, waited {:?}", connection.reused(), connection.waited());
///     }
/// }
/// # log(&Response::default());
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionReuse {
    reused: bool,
    coalesced: bool,
    waited: Duration,
    established: Instant,
    requests: Arc<AtomicU64>,
}

impl ConnectionReuse {
    /// The connection's own fact: kept, and there at once.
    pub(crate) fn of_kept(requests: &Arc<AtomicU64>) -> Self {
        Self {
            reused: true,
            coalesced: false,
            waited: Duration::ZERO,
            established: tokio::time::Instant::now().into_std(),
            requests: Arc::clone(requests),
        }
    }

    /// That of a call which dialed, or waited.
    pub(crate) fn of_call(&self, reused: bool, waited: Duration) -> Self {
        Self { reused, waited, ..self.clone() }
    }

    /// That of a call which found a connection to another host.
    pub(crate) fn of_coalesced(&self) -> Self {
        Self { coalesced: true, ..self.clone() }
    }

    /// Whether another call had used the connection before, or had made it.
    #[must_use]
    pub fn reused(&self) -> bool {
        self.reused
    }

    /// Whether the connection had been made to another host, whose server proved to be this one too (RFC 9113 section 9.1.1). What
    /// else is known of the connection is then told with that host's name.
    #[must_use]
    pub fn coalesced(&self) -> bool {
        self.coalesced
    }

    /// How long the call waited for it: in the queue, for the dial, or both.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// When the connection was made.
    #[must_use]
    pub fn established(&self) -> Instant {
        self.established
    }

    /// How many requests were sent on the connection until now, this one included. On a shared connection later ones may be
    /// among them.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }
}
