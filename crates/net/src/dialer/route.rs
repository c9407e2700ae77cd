//! The choices of a route that the dialer reads.

use std::{fmt, net::IpAddr};

use chaski_core::canonical_ip;

/// The IP family to dial: a choice of the [`Route`](chaski_core::Route). Without it, both are.
///
/// ```
/// use chaski_core::Route;
/// use chaski_net::IpFamily;
///
/// let route = Route::default().with(IpFamily::V4);
/// assert_eq!(route.choice(), Some(&IpFamily::V4));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IpFamily {
    /// Both, interleaved.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl IpFamily {
    /// The family of an address. An IPv4-mapped IPv6 address is IPv4.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if canonical_ip(ip).is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Whether `ip` may be dialed.
    #[must_use]
    pub fn allows(self, ip: IpAddr) -> bool {
        self == Self::Any || self == Self::of(ip)
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "IP",
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The local address to connect from: a choice of the [`Route`](chaski_core::Route). The system chooses the port, and only
/// targets of the same family are dialed.
///
/// ```
/// use chaski_core::Route;
/// use chaski_net::LocalAddr;
///
/// let from = LocalAddr("192.0.2.7".parse()?);
/// assert_eq!(Route::default().with(from).choice(), Some(&from));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalAddr(pub IpAddr);
