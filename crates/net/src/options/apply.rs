//! How the options reach the kernel.

use std::{io, net::SocketAddr, time::Duration};

#[cfg(unix)]
use std::os::fd::AsFd as AsSocket;
#[cfg(windows)]
use std::os::windows::io::AsSocket;

use chaski_core::EffectiveSocketOptions;
use socket2::{SockRef, TcpKeepalive};

use super::{SocketOptions, platform};
use crate::SocketOptionError;

impl SocketOptions {
    /// Sets the options of a connection on `socket`, connected or about to be, and says what is in force then.
    ///
    /// # Errors
    ///
    /// A [`SocketOptionError`] within, for the first option that was refused. Those before it stay set.
    pub fn apply(&self, socket: &impl AsSocket) -> io::Result<EffectiveSocketOptions> {
        let socket = SockRef::from(socket);
        let mut effective = EffectiveSocketOptions::default();
        SocketOptionError::told("TCP_NODELAY", self.nodelay, socket.set_tcp_nodelay(self.nodelay))?;
        effective.nodelay = self.nodelay;
        effective.keepalive = self.apply_keepalive(&socket)?;
        if let Some(limit) = self.user_timeout {
            // Zero would mean the system's own limit, and the kernel reads the milliseconds as a signed number.
            let limit = limit.clamp(Duration::from_millis(1), Duration::from_millis(i32::MAX.unsigned_abs().into()));
            SocketOptionError::told("TCP_USER_TIMEOUT", limit.as_millis(), platform::set_user_timeout(&socket, limit))?;
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
        effective.traffic_class = self.apply_path(&socket)?;
        effective.mark = self.mark;
        effective.device.clone_from(&self.device);
        Ok(effective)
    }

    /// Sets the options of a socket that is about to be connected, and says what is in force then.
    pub(crate) fn apply_to_dialed(&self, socket: &impl AsSocket) -> io::Result<EffectiveSocketOptions> {
        if self.fast_open_connect {
            let done = platform::connect_fast(&SockRef::from(socket));
            SocketOptionError::told("TCP_FASTOPEN_CONNECT", true, done)?;
        }
        self.apply(socket)
    }

    /// Sets the options of a listening socket that is about to be bound to `addr`.
    pub(crate) fn apply_to_listener(&self, socket: &impl AsSocket, addr: SocketAddr) -> io::Result<()> {
        let socket = SockRef::from(socket);
        // On Unix it allows to bind while connections of an earlier process wait for their end; on Windows it would
        // allow to steal the port.
        #[cfg(unix)]
        SocketOptionError::told("SO_REUSEADDR", true, socket.set_reuse_address(true))?;
        if self.reuse_port {
            SocketOptionError::told("SO_REUSEPORT", true, platform::set_reuse_port(&socket))?;
        }
        if let Some(queue) = self.fast_open {
            SocketOptionError::told("TCP_FASTOPEN", queue, platform::listen_fast(&socket, queue))?;
        }
        // RFC 3493 section 5.3 leaves the default to the system, and systems differ. Only the unspecified address has a
        // choice.
        if addr.is_ipv6() && addr.ip().is_unspecified() {
            SocketOptionError::told("IPV6_V6ONLY", !self.dual_stack, socket.set_only_v6(!self.dual_stack))?;
        }
        // Connections inherit the sizes, and the window scale that is agreed before `accept` depends on them.
        self.apply_buffers(&socket)?;
        // The answer to a SYN is the listener's, too: it has to take the way that the connection's packets will take.
        self.apply_path(&socket).map(drop)
    }

    /// Mark, interface and traffic class: all that decides about the way of packets. The class as it is in force.
    fn apply_path(&self, socket: &SockRef<'_>) -> io::Result<Option<u8>> {
        if let Some(mark) = self.mark {
            SocketOptionError::told("SO_MARK", mark, platform::set_mark(socket, mark))?;
        }
        if let Some(name) = &self.device {
            SocketOptionError::told("SO_BINDTODEVICE", name, platform::set_device(socket, name))?;
        }
        let Some(class) = self.traffic_class else { return Ok(None) };
        // RFC 3168 section 5: the two lowest bits tell of congestion, and belong to the kernel's TCP.
        let class = class & !0b11;
        SocketOptionError::told(
            "the traffic class (IP_TOS, IPV6_TCLASS)",
            class,
            platform::set_traffic_class(socket, class),
        )
        .map(Some)
    }

    fn apply_buffers(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if let Some(bytes) = self.recv_buffer {
            SocketOptionError::told("SO_RCVBUF", bytes, socket.set_recv_buffer_size(bytes))?;
        }
        if let Some(bytes) = self.send_buffer {
            SocketOptionError::told("SO_SNDBUF", bytes, socket.set_send_buffer_size(bytes))?;
        }
        Ok(())
    }

    /// The idle time that is in force.
    fn apply_keepalive(&self, socket: &SockRef<'_>) -> io::Result<Option<Duration>> {
        let Some(idle) = self.keepalive else {
            return SocketOptionError::told("SO_KEEPALIVE", false, socket.set_keepalive(false)).map(|()| None);
        };
        let idle = whole_seconds(idle);
        SocketOptionError::told("SO_KEEPALIVE", idle.as_secs(), socket.set_tcp_keepalive(&self.probes(idle)))?;
        Ok(Some(idle))
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

/// Kernels count keepalive in seconds and refuse zero, which is what a shorter time would be cut to. Linux refuses what is
/// longer than 32,767 seconds, too.
fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().clamp(1, 32_767))
}
