use std::fmt;

/// The figures of [`Metrics`](super::Metrics) at one moment. `Display` prints them on one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// Connections, where a connection layer stands.
    pub connections: ConnectionCounts,
    /// Requests, where a request layer stands.
    pub requests: RequestCounts,
    /// Tunnels that requests became.
    pub tunnels: TunnelCounts,
}

/// How many connections there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// Since the start.
    pub opened: u64,
    /// Open now.
    pub active: u64,
    /// Closed after they were served.
    pub ok: u64,
    /// Closed because their service failed.
    pub error: u64,
    /// Dropped while they were served, by a shutdown for one.
    pub cut: u64,
}

/// How many requests there were, by outcome and by status, and the bytes of their bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Since the start.
    pub started: u64,
    /// Under way now; a tunnel is none.
    pub active: u64,
    /// The response was taken to its end, or the request became a tunnel.
    pub ok: u64,
    /// The client has gone before the end, or the server stopped.
    pub cancelled: u64,
    /// The service or the response's body failed.
    pub error: u64,
    /// Ended with a status of 1xx: `101`.
    pub informational: u64,
    /// Ended with a status of 2xx.
    pub success: u64,
    /// Ended with a status of 3xx.
    pub redirection: u64,
    /// Ended with a status of 4xx.
    pub client_error: u64,
    /// Ended with a status of 5xx.
    pub server_error: u64,
    /// Ended with any other status, or without one.
    pub other: u64,
    /// Bytes of requests' bodies that were read.
    pub bytes_received: u64,
    /// Bytes of responses' bodies that were taken.
    pub bytes_sent: u64,
}

/// How many tunnels there were, and what they carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TunnelCounts {
    /// Since the start.
    pub opened: u64,
    /// Open now.
    pub active: u64,
    /// Dropped while they ran, by a shutdown for one.
    pub cut: u64,
    /// Bytes from clients, of tunnels that have ended.
    pub bytes_up: u64,
    /// Bytes to clients, of tunnels that have ended.
    pub bytes_down: u64,
}

impl fmt::Display for MetricsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections: c, requests: r, tunnels: t } = self;
        write!(f, "connections {} ({} active, {} ok, {} error, {} cut); ", c.opened, c.active, c.ok, c.error, c.cut)?;
        write!(f, "requests {} ({} active, {} ok, ", r.started, r.active, r.ok)?;
        write!(f, "{} cancelled, {} error; ", r.cancelled, r.error)?;
        write!(f, "1xx {}, 2xx {}, 3xx {}, ", r.informational, r.success, r.redirection)?;
        write!(f, "4xx {}, 5xx {}, other {}; ", r.client_error, r.server_error, r.other)?;
        write!(f, "{} bytes received, {} sent); ", r.bytes_received, r.bytes_sent)?;
        write!(f, "tunnels {} ({} active, {} cut; ", t.opened, t.active, t.cut)?;
        write!(f, "{} bytes up, {} down)", t.bytes_up, t.bytes_down)
    }
}
