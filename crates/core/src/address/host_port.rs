use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::error::{AddressParseError, AddressParseErrorKind as Kind, AddressPart, Fault, Parsed};
use super::host::{is_link_scope, parse_ipv6, split_bracket};
use super::{Host, Zone};

/// A host and a port: `example.com:443`, `192.0.2.1:80`, `[fe80::1%eth0]:8080`.
///
/// IPv6 always stands in brackets, with and without a default port: in `::1:80` nobody can tell
/// the port from the last group. `Display` parses back to an equal value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The name or address.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// From its parts.
    pub fn new(host: impl Into<Host>, port: u16) -> Self {
        let host = host.into();
        Self { host, port }
    }

    /// Parses a text in which the port may be missing, or empty after its colon (RFC 3986
    /// section 3.2.3 counts that as missing).
    ///
    /// # Errors
    ///
    /// When the text is not an address, and for IPv6 without brackets.
    ///
    /// ```
    /// use chaski_core::HostPort;
    ///
    /// let target = HostPort::parse_with_default_port("example.com", 443)?;
    /// assert_eq!(target, "example.com:443".parse()?);
    /// # Ok::<(), chaski_core::AddressParseError>(())
    /// ```
    pub fn parse_with_default_port(text: &str, default: u16) -> Result<Self, AddressParseError> {
        Self::parse_with(text, Some(default)).map_err(|fault| fault.within(text))
    }

    /// Host and port as peers see them, in the target of a CONNECT or a `Host` field: no zone, no
    /// trailing dot. The port is always there.
    pub fn uri(&self) -> UriHostPort<'_> {
        UriHostPort(self)
    }

    pub(super) fn parse(text: &str) -> Parsed<Self> {
        Self::parse_with(text, None)
    }

    fn parse_with(text: &str, default: Option<u16>) -> Parsed<Self> {
        let (host, port) = match split_bracket(text)? {
            Some((inner, rest)) => {
                let host = parse_ipv6(inner).map_err(|fault| fault.from(1))?;
                let port = match rest.strip_prefix(':') {
                    None if !rest.is_empty() => {
                        return Err(Fault::new(Kind::TextAfterBracket, inner.len() + 2));
                    }
                    port => port,
                };
                (host, port)
            }
            None => {
                if looks_like_ipv6(text) {
                    return Err(Fault::new(Kind::UnbracketedIpv6, 0));
                }
                let (host, port) = match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                };
                (Host::parse_unbracketed(host)?, port)
            }
        };
        let port = match (port, default) {
            (None | Some(""), Some(default)) => default,
            (None, None) => return Err(Fault::new(Kind::PortMissing, text.len())),
            (Some(port), _) => {
                let start = text.len() - port.len();
                parse_port(port).map_err(|fault| fault.from(start))?
            }
        };
        Ok(Self { host, port })
    }
}

/// Whether more than one colon and otherwise only what IPv6 addresses are made of stands before
/// a zone; as against `host:80:90`, in which the port is at fault.
fn looks_like_ipv6(text: &str) -> bool {
    let address = text.split('%').next().unwrap_or(text);
    let ours = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    address.matches(':').count() > 1 && address.bytes().all(ours)
}

/// `port = *DIGIT` (RFC 3986 section 3.2.3): leading zeros are fine, a sign is not.
fn parse_port(text: &str) -> Parsed<u16> {
    if text.is_empty() {
        return Err(Fault::new(Kind::Empty(AddressPart::Port), 0));
    }
    match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, c)) => Err(Fault::new(Kind::InvalidCharacter(c, AddressPart::Port), at)),
        None => text.parse().map_err(|_| Fault::new(Kind::PortOutOfRange, 0)),
    }
}

/// A scope id becomes a zone by number where the address has link scope; elsewhere it has no
/// meaning and is dropped, as is the flow label.
impl From<SocketAddr> for HostPort {
    fn from(addr: SocketAddr) -> Self {
        let host = match addr {
            SocketAddr::V6(v6) if v6.scope_id() != 0 && is_link_scope(*v6.ip()) => {
                match Zone::parse(&v6.scope_id().to_string()) {
                    Ok(zone) => Host::Zoned(*v6.ip(), zone),
                    Err(_) => addr.ip().into(),
                }
            }
            _ => addr.ip().into(),
        };
        Self { host, port: addr.port() }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            host @ (Host::Ip(IpAddr::V6(_)) | Host::Zoned(..)) => write!(f, "[{host}]")?,
            host => write!(f, "{host}")?,
        }
        write!(f, ":{}", self.port)
    }
}

/// Prints a [`HostPort`] as peers see it; made by [`HostPort::uri`].
#[derive(Clone, Copy, Debug)]
pub struct UriHostPort<'a>(&'a HostPort);

impl fmt::Display for UriHostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.host.uri(), self.0.port)
    }
}
