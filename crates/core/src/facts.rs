//! Facts that more than one crate knows.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use crate::{Host, HostPort};

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

/// Where a client had a tunnel made to. Whoever makes one, as by CONNECT, adds it to the connection inside of it, for those who
/// read what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelTarget(pub HostPort);

/// Who the peer proved to be. Whoever checks credentials adds it; logs and limits read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User(pub Arc<str>);

/// Whom the server of a connection was taken for, and whom else it can be taken for with the proof it has given: the names and
/// addresses in its certificate. Who does a TLS handshake adds it to the connection; a client's pool reads it before it sends
/// requests for one host over a connection that was made to another one.
///
/// ```
/// use chaski_core::{Host, ServerIdentity};
///
/// let (shop, cart): (Host, Host) = ("shop.example".parse()?, "cart.example".parse()?);
/// let certified = [shop.clone()];
/// let server = ServerIdentity::new(shop.clone(), move |host| certified.contains(host));
/// assert_eq!(server.name(), &shop);
/// assert!(!server.covers(&cart));
/// # Ok::<(), chaski_core::AddressParseError>(())
/// ```
#[derive(Clone)]
pub struct ServerIdentity {
    name: Host,
    covers: Arc<dyn Fn(&Host) -> bool + Send + Sync>,
}

impl ServerIdentity {
    /// The server that was asked to be `name`. `covers` says whether it can be taken for a host: it has to do all that would be
    /// asked of a server on a new connection to that host (RFC 9113 section 9.1.1), and refuse where nothing is asked.
    pub fn new(name: Host, covers: impl Fn(&Host) -> bool + Send + Sync + 'static) -> Self {
        Self { name, covers: Arc::new(covers) }
    }

    /// Whom it was asked to be.
    #[must_use]
    pub fn name(&self) -> &Host {
        &self.name
    }

    /// Whether it can be taken for this host now. That may take as long as the verification of a certificate.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        (self.covers)(host)
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").field("name", &self.name).finish_non_exhaustive()
    }
}
