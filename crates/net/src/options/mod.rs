//! What is asked of sockets.

mod apply;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod fast_open;
mod in_force;
mod platform;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

pub(crate) use self::in_force::InForce;
pub(crate) use self::platform::set_reuse_port as share_port;

/// What is asked of a TCP socket wherever one is born: accepted, dialed, or handed over by the caller.
///
/// ```
/// use chaski_net::SocketOptions;
/// use std::time::Duration;
///
/// let options = SocketOptions::default().with_keepalive(Duration::from_secs(30)).with_backlog(4096);
/// assert!(options.nodelay, "small writes leave at once unless that is turned off");
/// ```
///
/// # Platforms
///
/// What a system lacks and somebody asks for is an error that names the option ([`SocketOptionError`](crate::SocketOptionError)),
/// never passed over:
///
/// | option | where it exists |
/// |---|---|
/// | [`user_timeout`](Self::user_timeout), [`mark`](Self::mark), [`device`](Self::device), [`fast_open`](Self::fast_open), [`fast_open_connect`](Self::fast_open_connect) | Linux, Android |
/// | [`traffic_class`](Self::traffic_class) | Linux, Android, macOS, FreeBSD, NetBSD, OpenBSD |
/// | [`reuse_port`](Self::reuse_port) | Unix, but for Solaris and illumos |
/// | [`dual_stack`](Self::dual_stack) | all; OpenBSD only has it turned off |
/// | interval and count of keepalive probes | Linux, Android, macOS, iOS, FreeBSD, Windows; elsewhere the system's own are in force |
///
/// Times and counts beyond what Linux takes are cut to that: 32,767 s and 127 probes for keepalive, about 24 days for
/// `TCP_USER_TIMEOUT`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// `TCP_NODELAY`. On by default: Nagle's algorithm and delayed acknowledgements together hold back small messages
    /// for 40 ms and more.
    pub nodelay: bool,
    /// `SO_KEEPALIVE`, with this idle time before the first probe. Whole seconds, at least one. Default: 60 s, so that
    /// the mapping of a NAT on the way stays alive and, with the four probes below, a peer that vanished is noticed
    /// within two minutes. `None` turns it off.
    pub keepalive: Option<Duration>,
    /// The time between keepalive probes. Whole seconds, at least one. Default: 15 s.
    pub keepalive_interval: Duration,
    /// The number of unanswered keepalive probes after which the connection fails. Default: 4.
    pub keepalive_retries: u32,
    /// `TCP_USER_TIMEOUT`: how long written data may stay unacknowledged before the connection fails, in milliseconds
    /// resolution. Default: `None`, which leaves the socket as it is (about 15 minutes on Linux).
    ///
    /// Off by default because Linux counts a peer that is alive but does not read (its window stays zero) just like one
    /// that is gone, so a paused download would be cut.
    pub user_timeout: Option<Duration>,
    /// `SO_REUSEPORT` on listening sockets: several listeners share a port. Default: off.
    pub reuse_port: bool,
    /// Whether a listener on `[::]` takes IPv4 connections too (`IPV6_V6ONLY` off). Set on every such listener, since the
    /// defaults of systems differ. Their peers are recorded with IPv4 addresses. Default: on. Turn it off to listen on
    /// `0.0.0.0` with the same port beside it.
    pub dual_stack: bool,
    /// How many connections the kernel completes ahead of `accept`. Default: [`Self::DEFAULT_BACKLOG`]. The kernel caps it
    /// (`net.core.somaxconn`, 4,096 on current Linux).
    pub backlog: u32,
    /// `TCP_FASTOPEN` on listening sockets (RFC 7413): a client that was here before may send data along with its SYN, and this
    /// is how many such connections may wait for the end of their handshake. Linux must allow it too
    /// (`net.ipv4.tcp_fastopen`, bit 2). Default: `None`, off, because data that comes so may come twice (section 2.1).
    pub fast_open: Option<u32>,
    /// `TCP_FASTOPEN_CONNECT` on dialed sockets (RFC 7413): to a peer that has given a cookie before, the first write
    /// travels with the SYN, which saves a round trip. Only for what may arrive twice (section 2.1). Default: off, because such a
    /// connect succeeds before anybody has answered: an address that died since wins the race of a
    /// [`Dialer`](crate::Dialer), and fails at the first write. And only where the client speaks first: no packet leaves before
    /// the first write, so who waits for a greeting waits for good. Tunnels of a proxy carry both kinds.
    pub fast_open_connect: bool,
    /// `SO_RCVBUF` in bytes. Default: `None`, the kernel's own sizing. A size that is set turns that sizing off.
    pub recv_buffer: Option<usize>,
    /// `SO_SNDBUF` in bytes. Default: `None`, the kernel's own sizing. A size that is set turns that sizing off.
    pub send_buffer: Option<usize>,
    /// The traffic class of packets: `IP_TOS` for IPv4, `IPV6_TCLASS` for IPv6. Its upper six bits are the DSCP (RFC 2474
    /// section 3): 0xb8 is expedited forwarding. The lower two are those of ECN, which TCP sets itself, and count as zero
    /// here. Default: `None`, the system's own.
    pub traffic_class: Option<u8>,
    /// `SO_MARK`: the mark of packets, for this machine's routing and filtering. Linux wants `CAP_NET_ADMIN` for it, on a
    /// listener only while it is bound: its connections inherit the mark. Default: `None`, none.
    pub mark: Option<u32>,
    /// `SO_BINDTODEVICE`: packets leave and arrive by the interface of this name alone, whatever the routes say. At most 15
    /// bytes. Linux wants `CAP_NET_RAW` for it where the socket is bound to another one, and before version 5.7. Default:
    /// `None`, any.
    pub device: Option<Arc<str>>,
}

impl SocketOptions {
    /// Enough for a burst of clients while one turn of the accept loop is delayed.
    pub const DEFAULT_BACKLOG: u32 = 1024;

    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`nodelay`](Self::nodelay).
    #[must_use]
    pub fn with_nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
        self
    }

    /// Sets the idle time of [`keepalive`](Self::keepalive), or turns it off.
    #[must_use]
    pub fn with_keepalive(mut self, idle: impl Into<Option<Duration>>) -> Self {
        self.keepalive = idle.into();
        self
    }

    /// Sets the time between keepalive probes, and how many may stay unanswered.
    #[must_use]
    pub fn with_keepalive_probes(mut self, interval: Duration, retries: u32) -> Self {
        self.keepalive_interval = interval;
        self.keepalive_retries = retries;
        self
    }

    /// Sets [`user_timeout`](Self::user_timeout), or leaves the sockets' own.
    #[must_use]
    pub fn with_user_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.user_timeout = limit.into();
        self
    }

    /// Sets [`reuse_port`](Self::reuse_port).
    #[must_use]
    pub fn with_reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// Sets [`dual_stack`](Self::dual_stack).
    #[must_use]
    pub fn with_dual_stack(mut self, on: bool) -> Self {
        self.dual_stack = on;
        self
    }

    /// Sets [`backlog`](Self::backlog).
    #[must_use]
    pub fn with_backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Sets [`fast_open`](Self::fast_open), in connections that wait.
    #[must_use]
    pub fn with_fast_open(mut self, queue: impl Into<Option<u32>>) -> Self {
        self.fast_open = queue.into();
        self
    }

    /// Sets [`fast_open_connect`](Self::fast_open_connect).
    #[must_use]
    pub fn with_fast_open_connect(mut self, on: bool) -> Self {
        self.fast_open_connect = on;
        self
    }

    /// Sets [`recv_buffer`](Self::recv_buffer), in bytes.
    #[must_use]
    pub fn with_recv_buffer(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.recv_buffer = bytes.into();
        self
    }

    /// Sets [`send_buffer`](Self::send_buffer), in bytes.
    #[must_use]
    pub fn with_send_buffer(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.send_buffer = bytes.into();
        self
    }

    /// Sets [`traffic_class`](Self::traffic_class).
    #[must_use]
    pub fn with_traffic_class(mut self, class: impl Into<Option<u8>>) -> Self {
        self.traffic_class = class.into();
        self
    }

    /// Sets [`mark`](Self::mark).
    #[must_use]
    pub fn with_mark(mut self, mark: impl Into<Option<u32>>) -> Self {
        self.mark = mark.into();
        self
    }

    /// Sets [`device`](Self::device), the name of an interface.
    #[must_use]
    pub fn with_device(mut self, name: impl Into<Arc<str>>) -> Self {
        self.device = Some(name.into());
        self
    }
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: Some(Duration::from_secs(60)),
            keepalive_interval: Duration::from_secs(15),
            keepalive_retries: 4,
            user_timeout: None,
            reuse_port: false,
            dual_stack: true,
            backlog: Self::DEFAULT_BACKLOG,
            fast_open: None,
            fast_open_connect: false,
            recv_buffer: None,
            send_buffer: None,
            traffic_class: None,
            mark: None,
            device: None,
        }
    }
}
