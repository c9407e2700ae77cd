//! What is asked of sockets.

use std::{io, time::Duration};

#[cfg(unix)]
use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
use std::os::windows::io::AsSocket;

use chaski_core::EffectiveSocketOptions;
use socket2::{SockRef, TcpKeepalive};

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
/// `TCP_USER_TIMEOUT` exists on Linux and Android; elsewhere [`user_timeout`](Self::user_timeout) has no effect and the
/// effective options say `None`. The interval and the count of keepalive probes are set on Linux, Android, macOS, iOS,
/// FreeBSD and Windows; elsewhere only the idle time is. Times and counts beyond what Linux takes are cut to that: 32,767 s
/// and 127 probes for keepalive, about 24 days for `TCP_USER_TIMEOUT`. `SO_REUSEPORT` exists on Unix; elsewhere asking for it is an
/// error, since a second listener on the port would otherwise fail without a reason.
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
    /// How many connections the kernel completes ahead of `accept`. Default: [`Self::DEFAULT_BACKLOG`]. The kernel caps it
    /// (`net.core.somaxconn`, 4,096 on current Linux).
    pub backlog: u32,
    /// `SO_RCVBUF` in bytes. Default: `None`, the kernel's own sizing. A size that is set turns that sizing off.
    pub recv_buffer: Option<usize>,
    /// `SO_SNDBUF` in bytes. Default: `None`, the kernel's own sizing. A size that is set turns that sizing off.
    pub send_buffer: Option<usize>,
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

    /// Sets [`backlog`](Self::backlog).
    #[must_use]
    pub fn with_backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
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

    /// Sets the options of a connection on `socket`, connected or about to be, and says what is in force then.
    ///
    /// # Errors
    ///
    /// The kernel's, for the first option that it refused. Those before it stay set.
    pub fn apply(&self, socket: &impl AsSocket) -> io::Result<EffectiveSocketOptions> {
        let socket = SockRef::from(socket);
        let mut effective = EffectiveSocketOptions::default();
        socket.set_tcp_nodelay(self.nodelay)?;
        effective.nodelay = self.nodelay;
        match self.keepalive {
            Some(idle) => {
                let idle = whole_seconds(idle);
                socket.set_tcp_keepalive(&self.probes(idle))?;
                effective.keepalive = Some(idle);
            }
            None => socket.set_keepalive(false)?,
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(limit) = self.user_timeout {
            // Zero would mean the system's own limit, and the kernel reads the milliseconds as a signed number.
            let limit = limit.clamp(Duration::from_millis(1), Duration::from_millis(i32::MAX.unsigned_abs().into()));
            socket.set_tcp_user_timeout(Some(limit))?;
            effective.user_timeout = Some(limit);
        }
        self.apply_buffers(&socket)?;
        // The kernel rounds sizes, doubles them and caps them, so it is asked what came of it.
        if self.recv_buffer.is_some() {
            effective.recv_buffer = Some(socket.recv_buffer_size()?);
        }
        if self.send_buffer.is_some() {
            effective.send_buffer = Some(socket.send_buffer_size()?);
        }
        Ok(effective)
    }

    /// Sets the options of a listening socket that is not bound yet.
    pub(crate) fn apply_to_listener(&self, socket: &impl AsSocket) -> io::Result<()> {
        let socket = SockRef::from(socket);
        // On Unix it allows to bind while connections of an earlier process wait for their end; on Windows it would
        // allow to steal the port.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        if self.reuse_port {
            set_reuse_port(&socket)?;
        }
        // Connections inherit the sizes, and the window scale that is agreed before `accept` depends on them.
        self.apply_buffers(&socket)
    }

    fn apply_buffers(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if let Some(bytes) = self.recv_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        Ok(())
    }

    fn probes(&self, idle: Duration) -> TcpKeepalive {
        let keepalive = TcpKeepalive::new().with_time(idle);
        #[cfg(any(
            target_os = "linux",
            target_os = "android",
            target_os = "macos",
            target_os = "ios",
            target_os = "freebsd",
            target_os = "windows"
        ))]
        let keepalive = keepalive
            .with_interval(whole_seconds(self.keepalive_interval))
            .with_retries(self.keepalive_retries.clamp(1, 127));
        keepalive
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
            backlog: Self::DEFAULT_BACKLOG,
            recv_buffer: None,
            send_buffer: None,
        }
    }
}

/// Kernels count keepalive in seconds and refuse zero, which is what a shorter time would be cut to. Linux refuses what is
/// longer than 32,767 seconds, too.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().clamp(1, 32_767))
}

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
fn set_reuse_port(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
fn set_reuse_port(_: &SockRef<'_>) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no SO_REUSEPORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> socket2::Socket {
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap()
    }

    #[test]
    fn the_defaults_are_set_and_told() {
        let socket = socket();
        let effective = SocketOptions::default().apply(&socket).unwrap();
        assert!(effective.nodelay && socket.tcp_nodelay().unwrap());
        assert_eq!(effective.keepalive, Some(Duration::from_secs(60)));
        assert!(socket.keepalive().unwrap());
        assert_eq!((effective.user_timeout, effective.recv_buffer, effective.send_buffer), (None, None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn every_option_reaches_the_kernel() {
        let socket = socket();
        let options = SocketOptions::new()
            .with_nodelay(false)
            .with_keepalive(Duration::from_millis(7_900))
            .with_keepalive_probes(Duration::from_secs(3), 5)
            .with_user_timeout(Duration::from_millis(2_500))
            .with_recv_buffer(65_536)
            .with_send_buffer(32_768);
        let effective = options.apply(&socket).unwrap();

        assert!(!socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(2_500)));
        assert_eq!(effective.keepalive, Some(Duration::from_secs(7)));
        assert_eq!(effective.user_timeout, Some(Duration::from_millis(2_500)));
        // Linux doubles what is asked, for its own bookkeeping (socket(7)).
        assert_eq!((effective.recv_buffer, effective.send_buffer), (Some(131_072), Some(65_536)));
    }

    #[test]
    fn times_that_would_round_to_zero_are_the_shortest_possible() {
        let socket = socket();
        let nanosecond = Duration::from_nanos(1);
        let options = SocketOptions::new()
            .with_keepalive(nanosecond)
            .with_keepalive_probes(nanosecond, 0)
            .with_user_timeout(nanosecond);
        let effective = options.apply(&socket).unwrap();
        assert_eq!(effective.keepalive, Some(Duration::from_secs(1)));
        #[cfg(target_os = "linux")]
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(1)));
    }

    /// Kernels refuse what is beyond their range, and a socket whose options are refused is closed: every one, then.
    #[test]
    fn times_beyond_what_kernels_take_are_the_longest_possible() {
        let socket = socket();
        let options = SocketOptions::new()
            .with_keepalive(Duration::MAX)
            .with_keepalive_probes(Duration::MAX, u32::MAX)
            .with_user_timeout(Duration::MAX);
        let effective = options.apply(&socket).unwrap();
        assert_eq!(effective.keepalive, Some(Duration::from_secs(32_767)));
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(32_767));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 127);
            assert_eq!(effective.user_timeout, socket.tcp_user_timeout().unwrap());
        }
    }

    #[test]
    fn keepalive_can_be_turned_off() {
        let socket = socket();
        socket.set_keepalive(true).unwrap();
        let effective = SocketOptions::new().with_keepalive(None).apply(&socket).unwrap();
        assert_eq!(effective.keepalive, None);
        assert!(!socket.keepalive().unwrap());
    }
}
