use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::domain::is_number;
use super::error::{AddressParseErrorKind as Kind, AddressPart, Fault, Parsed};
use super::{Domain, Zone};

/// Where a peer is: a name, or an IP address.
///
/// Parses `example.com`, `192.0.2.1`, `2001:db8::1`, `fe80::1%eth0`, and IPv6 in brackets too.
/// IPv4 is four decimal numbers without leading zeros and nothing else. A zone is taken as RFC
/// 4007 writes it, for unicast and multicast of link scope only; the `%25` of RFC 6874 is not
/// undone, since URIs carry no zones here (nor by RFC 9844, which obsoletes it).
///
/// `Display` writes no brackets and parses back to an equal value; [`uri`](Self::uri) is the form
/// for peers. An IPv4-mapped address stays as written: see [`canonical_ip`](crate::canonical_ip).
///
/// ```
/// use chaski_core::Host;
///
/// let host: Host = "fe80::1%eth0".parse()?;
/// assert_eq!(host.to_string(), "fe80::1%eth0");
/// assert_eq!(host.uri().to_string(), "[fe80::1]");
/// # Ok::<(), chaski_core::AddressParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, which has to be resolved.
    Domain(Domain),
    /// An IP address.
    Ip(IpAddr),
    /// An address of link scope and the interface whose link is meant.
    Zoned(Ipv6Addr, Zone),
}

impl Host {
    /// The name, if it is one.
    pub fn as_domain(&self) -> Option<&Domain> {
        match self {
            Self::Domain(domain) => Some(domain),
            Self::Ip(_) | Self::Zoned(..) => None,
        }
    }

    /// The IP address, if it is one; a zone is left out.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Domain(_) => None,
            Self::Ip(ip) => Some(*ip),
            Self::Zoned(ip, _) => Some(IpAddr::V6(*ip)),
        }
    }

    /// The zone, if the address has one.
    pub fn zone(&self) -> Option<&Zone> {
        match self {
            Self::Zoned(_, zone) => Some(zone),
            Self::Domain(_) | Self::Ip(_) => None,
        }
    }

    /// The host as peers see it, in a URI authority or a `Host` field: IPv6 in brackets, no zone
    /// (RFC 6874 section 4), no trailing dot.
    pub fn uri(&self) -> UriHost<'_> {
        UriHost(self)
    }

    pub(super) fn parse(text: &str) -> Parsed<Self> {
        match split_bracket(text)? {
            Some((inner, "")) => parse_ipv6(inner).map_err(|fault| fault.from(1)),
            Some((inner, _)) => Err(Fault::new(Kind::TextAfterBracket, inner.len() + 2)),
            // The shortest address has two colons, and nothing else has more than one.
            None if text.matches(':').count() > 1 => parse_ipv6(text),
            None => Self::parse_unbracketed(text),
        }
    }

    /// A name or an IPv4 address.
    pub(super) fn parse_unbracketed(text: &str) -> Parsed<Self> {
        if text.is_empty() {
            return Err(Fault::new(Kind::Empty(AddressPart::Host), 0));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Ip(ip.into()));
        }
        let domain = Domain::parse(text);
        domain.map(Self::Domain).map_err(|fault| match fault.kind {
            Kind::EndsInNumber => ipv4_fault(text).unwrap_or(fault),
            _ => fault,
        })
    }
}

impl From<Domain> for Host {
    fn from(domain: Domain) -> Self {
        Self::Domain(domain)
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl From<Ipv4Addr> for Host {
    fn from(ip: Ipv4Addr) -> Self {
        Self::Ip(ip.into())
    }
}

impl From<Ipv6Addr> for Host {
    fn from(ip: Ipv6Addr) -> Self {
        Self::Ip(ip.into())
    }
}

/// Without brackets, with the zone and the trailing dot: for logs and for parsing back.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => domain.fmt(f),
            Self::Ip(ip) => ip.fmt(f),
            Self::Zoned(ip, zone) => write!(f, "{ip}%{zone}"),
        }
    }
}

/// Prints a [`Host`] as peers see it; made by [`Host::uri`].
#[derive(Clone, Copy, Debug)]
pub struct UriHost<'a>(&'a Host);

impl fmt::Display for UriHost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Host::Domain(domain) => f.write_str(domain.as_str()),
            Host::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Host::Ip(IpAddr::V6(ip)) | Host::Zoned(ip, _) => write!(f, "[{ip}]"),
        }
    }
}

/// What stands inside the brackets that `text` starts with, and what follows them.
pub(super) fn split_bracket(text: &str) -> Parsed<Option<(&str, &str)>> {
    let Some(inner) = text.strip_prefix('[') else {
        return Ok(None);
    };
    match inner.split_once(']') {
        Some(parts) => Ok(Some(parts)),
        None => Err(Fault::new(Kind::UnclosedBracket, 0)),
    }
}

/// An IPv6 address with or without a zone.
pub(super) fn parse_ipv6(text: &str) -> Parsed<Host> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let ip: Ipv6Addr = address.parse().map_err(|_| ipv6_fault(address))?;
    let Some(zone) = zone else {
        return Ok(Host::Ip(ip.into()));
    };
    let start = address.len() + 1;
    let zone = Zone::parse(zone).map_err(|fault| fault.from(start))?;
    if !is_link_scope(ip) {
        return Err(Fault::new(Kind::ZoneNotAllowed, start - 1));
    }
    Ok(Host::Zoned(ip, zone))
}

/// `fe80::/10` (RFC 4291 section 2.5.6) and multicast of interface or link scope (RFC 4291
/// section 2.7): the addresses that mean nothing without their link.
pub(super) fn is_link_scope(ip: Ipv6Addr) -> bool {
    ip.is_unicast_link_local() || ip.is_multicast() && matches!(ip.segments()[0] & 0xf, 1 | 2)
}

fn ipv6_fault(address: &str) -> Fault {
    if address.is_empty() {
        return Fault::new(Kind::Empty(AddressPart::Ipv6), 0);
    }
    let foreign = |(_, c): &(usize, char)| !(c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    match address.char_indices().find(foreign) {
        Some((at, c)) => Fault::new(Kind::InvalidCharacter(c, AddressPart::Ipv6), at),
        None => Fault::new(Kind::InvalidIpv6, 0),
    }
}

/// Where a text of numbers and dots stops being an IPv4 address: the first number that is not
/// 0 to 255 in plain decimal, else the last one, where the count goes wrong. None for a text
/// with other labels, which was meant as a name.
fn ipv4_fault(text: &str) -> Option<Fault> {
    let octet = |label: &str| label.parse::<u8>().is_ok() && (label == "0" || !label.starts_with('0'));
    let mut start = 0_usize;
    let mut first = None;
    let mut last = 0;
    for label in text.split('.') {
        if !is_number(label.as_bytes()) {
            return None;
        }
        if !octet(label) {
            // The only empty label here is the one after a trailing dot, which is at fault.
            let at = start.saturating_sub(usize::from(label.is_empty()));
            first = first.or(Some(at));
        }
        last = start;
        start += label.len() + 1;
    }
    Some(Fault::new(Kind::InvalidIpv4, first.unwrap_or(last)))
}
