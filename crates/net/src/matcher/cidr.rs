use std::{fmt, net::IpAddr, str::FromStr};

use chaski_core::{canonical_ip, embedded_ipv4};
use ipnet::{IpNet, Ipv4Net};

/// A network: `10.0.0.0/8`, `2001:db8::/32`; or one address, `192.0.2.7`.
///
/// A network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) is the IPv4 network that it stands for. `Display` parses
/// back to an equal value.
///
/// ```
/// use chaski_net::matcher::Cidr;
///
/// let network: Cidr = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.9.8.7".parse()?));
/// assert!(network.contains("::ffff:10.9.8.7".parse()?));
/// assert!("10.1.0.0/8".parse::<Cidr>().is_err(), "which of the two was meant?");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// Whether `ip`, or the IPv4 address that it [embeds](chaski_core::embedded_ipv4), is in the network.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let embedded = match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => embedded_ipv4(ip).map(IpAddr::V4),
        };
        self.0.contains(&ip) || embedded.is_some_and(|ip| self.0.contains(&ip))
    }
}

/// The address alone.
impl From<IpAddr> for Cidr {
    fn from(ip: IpAddr) -> Self {
        Self(IpNet::from(canonical_ip(ip)))
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        if !text.contains('/') {
            return text.parse().map(|ip: IpAddr| Self::from(ip)).map_err(|_| CidrError::Syntax);
        }
        let network: IpNet = text.parse().map_err(|_| CidrError::Syntax)?;
        if network.addr() != network.network() {
            return Err(CidrError::HostBits { network: Self(canonical(network.trunc())) });
        }
        Ok(Self(canonical(network)))
    }
}

/// A network of IPv4-mapped addresses as the IPv4 network it is.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(ip), Some(length)) => Ipv4Net::new(ip, length).map_or(network, IpNet::V4),
        _ => network,
    }
}

/// As it is written: an address that is alone has no length.
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() { self.0.addr().fmt(f) } else { self.0.fmt(f) }
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CidrError {
    /// It is neither an address nor an address, a slash and a length of at most 32 (IPv6: 128) bits.
    #[error("not an address or a network such as 10.0.0.0/8")]
    Syntax,
    /// Bits beyond the length are set: an address, or another network, may be what was meant.
    #[error("bits beyond the length are set; the network is {network}")]
    HostBits {
        /// The network with these bits cleared.
        network: Cidr,
    },
}
