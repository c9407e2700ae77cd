use std::net::{IpAddr, Ipv6Addr};

#[cfg(feature = "http")]
use crate::http::{Message, Request};
use crate::{Extensions, SocketAddrs, User};

/// On whose behalf something is done, as far as limits and turns go: the user where one is known, else the network address.
///
/// Of an IPv6 address the first 64 bits count: the rest is the caller's to choose, and a new one for every request costs
/// nothing. An IPv4 address that is mapped into IPv6 counts as what it is.
///
/// ```
/// use chaski_core::{Caller, Extensions, SocketAddrs, User};
///
/// let scope = Extensions::new();
/// assert_eq!(Caller::in_scope(&scope), Caller::Unknown);
/// let peer = "[2001:db8::7:8]:55555".parse()?;
/// scope.insert(SocketAddrs { local: peer, peer });
/// assert_eq!(Caller::in_scope(&scope), Caller::Address("2001:db8::".parse()?));
/// scope.insert(User("ana".into()));
/// assert_eq!(Caller::in_scope(&scope), Caller::User(User("ana".into())));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Caller {
    /// An authenticated user.
    User(User),
    /// An IPv4 address, or the first 64 bits of an IPv6 address.
    Address(IpAddr),
    /// All others together: those over Unix sockets or in memory, and a program on its own behalf.
    #[default]
    Unknown,
}

impl Caller {
    /// From the facts [`User`] and [`SocketAddrs`] in the scope of a message, or of what was caused by one.
    #[must_use]
    pub fn in_scope(scope: &Extensions) -> Self {
        scope.get::<User>().map_or_else(|| Self::address_in_scope(scope), |user| Self::User(user.clone()))
    }

    /// The same without the user.
    #[must_use]
    pub fn address_in_scope(scope: &Extensions) -> Self {
        let Some(addrs) = scope.get::<SocketAddrs>() else { return Self::Unknown };
        Self::Address(match addrs.peer.ip().to_canonical() {
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
            ip => ip,
        })
    }

    /// Who sent a request.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn of(request: &Request) -> Self {
        request.existing_scope().map_or(Self::Unknown, Self::in_scope)
    }
}
