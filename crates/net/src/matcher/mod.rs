//! Tests of a connection's addresses, for [`branch`](chaski_core::branch) and whatever else takes a `Fn(&Input) -> bool`.
//!
//! A test of a [`SocketAddr`] ([`in_any`], [`port`], [`ports`], [`loopback`], [`private`], or a closure) becomes one of a
//! connection by [`peer`], the other end, or [`local`], this one.
//!
//! ```
//! use chaski_core::{Conn, Service, SocketAddrs, branch, service_fn};
//! use chaski_net::matcher::{in_any, peer};
//! use std::{convert::Infallible, error::Error};
//!
//! # async fn example() -> Result<(), Box<dyn Error>> {
//! let office = in_any(["192.0.2.0/24".parse()?, "2001:db8:7::/48".parse()?]);
//! let door = branch(
//!     peer(office),
//!     service_fn(async |_: Conn<()>| Ok::<_, Infallible>("come in")),
//!     service_fn(async |_: Conn<()>| Ok::<_, Infallible>("closed")),
//! );
//!
//! let conn = Conn::new(());
//! conn.ext.insert(SocketAddrs { local: "192.0.2.1:22".parse()?, peer: "192.0.2.7:50123".parse()? });
//! assert_eq!(door.serve(conn).await?, "come in");
//! assert_eq!(door.serve(Conn::new(())).await?, "closed");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Connections without addresses
//!
//! The addresses are those of the fact [`SocketAddrs`]. Connections in memory or over a Unix socket have none, nor have
//! those of a listener that records no facts. On them **neither `peer(..)` nor `local(..)` holds, whatever the test**.
//!
//! So where an exception is meant, negate within: `peer(|addr| !loopback(addr))` holds for those who are known to
//! come from elsewhere. A negation around it, `|conn| !peer(loopback)(conn)`, also holds for those of whom nothing is
//! known, and would let them through a door that was to be open to strangers with an address. The safe form of a rule is
//! the one whose match opens the door.
//!
//! Behind a proxy the peer is the proxy.
//!
//! # Forms of one address
//!
//! An IPv6 address that [embeds](chaski_core::embedded_ipv4) an IPv4 one (IPv4-mapped, NAT64, 6to4) matches by either.

mod cidr;

pub use cidr::{Cidr, CidrError};

use std::{net::SocketAddr, ops::RangeBounds};

use chaski_core::{Conn, IpClass, SocketAddrs};

/// Connections whose other end passes `test`; none without [`SocketAddrs`].
pub fn peer<S>(test: impl Fn(&SocketAddr) -> bool) -> impl Fn(&Conn<S>) -> bool {
    move |conn| conn.ext.get::<SocketAddrs>().is_some_and(|addrs| test(&addrs.peer))
}

/// Connections whose own end passes `test`; none without [`SocketAddrs`]. For a listener on several addresses or ports.
pub fn local<S>(test: impl Fn(&SocketAddr) -> bool) -> impl Fn(&Conn<S>) -> bool {
    move |conn| conn.ext.get::<SocketAddrs>().is_some_and(|addrs| test(&addrs.local))
}

/// Addresses in any of these networks. Of none, no address.
pub fn in_any(networks: impl IntoIterator<Item = Cidr>) -> impl Fn(&SocketAddr) -> bool {
    let networks: Box<[Cidr]> = networks.into_iter().collect();
    move |addr| networks.iter().any(|network| network.contains(addr.ip()))
}

/// Addresses with this port.
pub fn port(port: u16) -> impl Fn(&SocketAddr) -> bool {
    move |addr| addr.port() == port
}

/// Addresses with a port in this range, such as `8000..=8099` or `..1024`.
pub fn ports(range: impl RangeBounds<u16>) -> impl Fn(&SocketAddr) -> bool {
    move |addr| range.contains(&addr.port())
}

/// Addresses of this machine itself: `127.0.0.0/8`, `::1` ([`IpClass::Loopback`]).
#[must_use]
pub fn loopback(addr: &SocketAddr) -> bool {
    IpClass::of(addr.ip()) == IpClass::Loopback
}

/// Addresses for private use: [`IpClass::Private`] (`10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` and IPv6's older
/// ones) and [`IpClass::UniqueLocal`] (`fc00::/7`). Loopback, link-local and carriers' shared addresses are not among
/// them.
#[must_use]
pub fn private(addr: &SocketAddr) -> bool {
    matches!(IpClass::of(addr.ip()), IpClass::Private | IpClass::UniqueLocal)
}

#[cfg(test)]
mod tests;
