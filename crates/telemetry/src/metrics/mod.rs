//! Counters.

mod connections;
mod requests;
mod snapshot;

pub use connections::{ConnectionMetrics, ConnectionMetricsLayer};
pub use requests::{RequestMetrics, RequestMetricsLayer};
pub use snapshot::{ConnectionCounts, MetricsSnapshot, RequestCounts, TunnelCounts};

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Counts connections, requests, bytes and tunnels.
///
/// A clone is the same set of counters. The layers count, [`snapshot`](Self::snapshot) tells; every count is one atomic
/// addition. Counters only grow, so that a collector can take differences; what is active is computed from them.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    connections: Connections,
    requests: Requests,
    tunnels: Tunnels,
}

#[derive(Debug, Default)]
struct Connections {
    opened: AtomicU64,
    ok: AtomicU64,
    error: AtomicU64,
    cut: AtomicU64,
}

#[derive(Debug, Default)]
struct Requests {
    started: AtomicU64,
    ok: AtomicU64,
    cancelled: AtomicU64,
    error: AtomicU64,
    /// Answers by the first digit of their status, from 1 to 5, and all others.
    classes: [AtomicU64; 6],
    received: AtomicU64,
    sent: AtomicU64,
}

#[derive(Debug, Default)]
struct Tunnels {
    opened: AtomicU64,
    closed: AtomicU64,
    cut: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

impl Metrics {
    /// Counters that stand at 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer that counts connections: put it where connections are handed over, around the server.
    #[must_use]
    pub fn connection_layer(&self) -> ConnectionMetricsLayer {
        ConnectionMetricsLayer { metrics: self.clone() }
    }

    /// A layer that counts requests, the bytes of their bodies and the tunnels that they become.
    #[must_use]
    pub fn request_layer(&self) -> RequestMetricsLayer {
        RequestMetricsLayer { metrics: self.clone() }
    }

    /// The figures now. They are read one after the other while counting goes on, so that they may be apart by what
    /// happens meanwhile.
    #[must_use]
    pub fn snapshot(&self) -> MetricsSnapshot {
        let Counters { connections, requests, tunnels } = &*self.0;
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let active = |begun: u64, ended: u64| begun.saturating_sub(ended);

        // The ends are read before the beginnings, so that nothing ends that has not begun.
        let (ok, error, cut) = (read(&connections.ok), read(&connections.error), read(&connections.cut));
        let opened = read(&connections.opened);
        let connections = ConnectionCounts { opened, active: active(opened, ok + error + cut), ok, error, cut };

        let [informational, success, redirection, client_error, server_error, other] = &requests.classes;
        let (ok, cancelled, error) = (read(&requests.ok), read(&requests.cancelled), read(&requests.error));
        let started = read(&requests.started);
        let requests = RequestCounts {
            started,
            active: active(started, ok + cancelled + error),
            ok,
            cancelled,
            error,
            informational: read(informational),
            success: read(success),
            redirection: read(redirection),
            client_error: read(client_error),
            server_error: read(server_error),
            other: read(other),
            bytes_received: read(&requests.received),
            bytes_sent: read(&requests.sent),
        };

        let closed = read(&tunnels.closed);
        let opened = read(&tunnels.opened);
        let tunnels = TunnelCounts {
            opened,
            active: active(opened, closed),
            cut: read(&tunnels.cut),
            bytes_up: read(&tunnels.up),
            bytes_down: read(&tunnels.down),
        };
        MetricsSnapshot { connections, requests, tunnels }
    }
}

/// Adds one.
fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
