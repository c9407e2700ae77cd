use std::net::{IpAddr, Ipv6Addr};

use chaski_core::{
    SocketAddrs, User,
    http::{Message, Request},
};

/// Who sent a request, as far as limits go: the user where one is known, else the network address.
///
/// Of an IPv6 address the first 64 bits count: the rest is the caller's to choose, and a new one for every request costs
/// nothing. An IPv4 address that is mapped into IPv6 counts as what it is.
///
/// ```
/// use chaski_core::{SocketAddrs, User, http::{Body, Message, Request}};
/// use chaski_proxy::Caller;
///
/// let mut request = Request::new(Body::empty());
/// assert_eq!(Caller::of(&request), Caller::Unknown);
/// let peer = "[2001:db8::7:8]:55555".parse()?;
/// request.scope().insert(SocketAddrs { local: peer, peer });
/// assert_eq!(Caller::of(&request), Caller::Address("2001:db8::".parse()?));
/// request.scope().insert(User("ana".into()));
/// assert_eq!(Caller::of(&request), Caller::User(User("ana".into())));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Caller {
    /// An authenticated user.
    User(User),
    /// An IPv4 address, or the first 64 bits of an IPv6 address.
    Address(IpAddr),
    /// All others together: those over Unix sockets or in memory.
    Unknown,
}

impl Caller {
    /// From the request's facts [`User`] and [`SocketAddrs`].
    #[must_use]
    pub fn of(request: &Request) -> Self {
        request.fact::<User>().map_or_else(|| Self::address_of(request), |user| Self::User(user.clone()))
    }

    /// The same without the user.
    pub(crate) fn address_of(request: &Request) -> Self {
        let Some(addrs) = request.fact::<SocketAddrs>() else { return Self::Unknown };
        Self::Address(match addrs.peer.ip().to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
            ip => ip,
        })
    }
}
