//! Facts that more than one crate knows.

use std::{net::SocketAddr, sync::Arc, time::Duration};

/// The addresses of a socket's two ends. A listener adds it to the connections it accepts, a dialer to those it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAddrs {
    /// This end.
    pub local: SocketAddr,
    /// The other end. Behind a proxy it is the proxy.
    pub peer: SocketAddr,
}

/// The socket options that are in force, as far as they were set or asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectiveSocketOptions {
    /// `TCP_NODELAY`: small writes leave at once.
    pub nodelay: bool,
    /// `SO_KEEPALIVE` with this idle time before the first probe.
    pub keepalive: Option<Duration>,
    /// `TCP_USER_TIMEOUT`: how long written data may stay unacknowledged.
    pub user_timeout: Option<Duration>,
    /// `SO_RCVBUF` in bytes, as the kernel reports it.
    pub recv_buffer: Option<usize>,
    /// `SO_SNDBUF` in bytes, as the kernel reports it.
    pub send_buffer: Option<usize>,
    /// `IP_TOS` or `IPV6_TCLASS`, whichever the socket's family has, as the kernel reports it.
    pub traffic_class: Option<u8>,
    /// `SO_MARK`: the mark of the packets, for the routing and filtering of this machine.
    pub mark: Option<u32>,
    /// `SO_BINDTODEVICE`: the name of the only interface that packets leave and arrive by.
    pub device: Option<Arc<str>>,
}

/// The version of HTTP that a connection speaks. HTTP engines add it to the connection.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpVersion(pub http::Version);

/// Who the peer proved to be. Whoever checks credentials adds it; logs and limits read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User(pub Arc<str>);
