//! The input of connectors: where to, whom to expect there, what to speak, and how to get there.

mod policy;
mod route;
mod versions;

pub use policy::{AddressPolicy, AllowAll, Candidate, Refused, RefusedKind};
pub use route::{Choice, Route};
pub use versions::HttpVersions;

use std::{fmt, net::SocketAddr, path::PathBuf};

use crate::{Extensions, Host, HostPort};

/// A wish for a connection.
///
/// A *connector* is a `Service<Connect, Output = Conn<_>>`; TLS, HTTP CONNECT and SOCKS5 are layers around one. Target,
/// server name, protocol and route decide everything, and are the key under which pools keep connections; the scope
/// (`ext`) is a child of the request that caused the dial, for reporting only: connectors never decide by a fact found
/// there, because it describes the other side of a proxy.
#[derive(Debug)]
pub struct Connect {
    /// Where to dial.
    pub target: Target,
    /// Whom to expect there, when that is not the target's own name.
    pub server_name: Option<Host>,
    /// What will be spoken.
    pub protocol: Protocol,
    /// The typed choices made for this dial.
    pub route: Route,
    /// The scope of the attempt.
    pub ext: Extensions,
}

impl Connect {
    /// A plain connection to `target`.
    pub fn new(target: impl Into<Target>) -> Self {
        Self {
            target: target.into(),
            server_name: None,
            protocol: Protocol::Tcp,
            route: Route::default(),
            ext: Extensions::new(),
        }
    }

    /// Sets what will be spoken.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets whom to expect.
    #[must_use]
    pub fn with_server_name(mut self, name: Host) -> Self {
        self.server_name = Some(name);
        self
    }

    /// Sets the route, [fresh](Route::fresh): what another dial has read of it does not count for this one.
    #[must_use]
    pub fn with_route(mut self, route: Route) -> Self {
        self.route = route.fresh();
        self
    }

    /// Sets the scope: a fork of the scope of the request that caused this dial.
    #[must_use]
    pub fn with_scope(mut self, scope: Extensions) -> Self {
        self.ext = scope;
        self
    }
}

/// Where to dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Target {
    /// A name or an address literal, as it was asked for, and a port. Names are resolved by the dialer.
    Host(HostPort),
    /// An address.
    Addr(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => host.fmt(f),
            Self::Addr(addr) => addr.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<HostPort> for Target {
    fn from(host: HostPort) -> Self {
        Self::Host(host)
    }
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Self::Addr(addr)
    }
}

/// What will be spoken on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Bytes, of which nothing more is known.
    #[default]
    Tcp,
    /// HTTP in clear.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Protocol {
    /// The port that a URI of this protocol means when it names none.
    #[must_use]
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Self::Tcp => None,
            Self::Http => Some(80),
            Self::Https => Some(443),
        }
    }

    /// Whether TLS belongs beneath.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Https)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Profile(u8);

    /// A route that is configured once serves many dials, and not all of them read the same choices.
    #[test]
    fn a_choice_that_one_dial_read_is_unread_in_the_next() {
        let route = Route::default().with(Profile(1));
        let target = SocketAddr::from(([127, 0, 0, 1], 80));
        let first = Connect::new(target).with_route(route.clone());
        assert_eq!(first.route.choice(), Some(&Profile(1)));
        assert_eq!(first.route.unread(), None);

        let second = Connect::new(target).with_route(route.clone());
        assert!(second.route.unread().is_some());
        assert_eq!(second.route, first.route);
    }
}
