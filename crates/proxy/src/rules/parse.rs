//! From the text of a pattern to its meaning.

use chaski_core::{AddressParseError, Domain, Host, canonical_ip};
use ipnet::{IpNet, Ipv4Net};

use super::pattern::{Class, HostPattern, Ports, TargetPattern};
use crate::RuleError;
pub(super) use crate::RuleErrorKind as Kind;

/// An error before it knows the text around it.
#[derive(Clone, Copy)]
pub(super) struct Fault {
    kind: Kind,
    at: usize,
}

impl Fault {
    pub(super) fn new(kind: Kind, at: usize) -> Self {
        Self { kind, at }
    }

    /// The same, seen from a text in which `bytes` stand in front.
    pub(super) fn behind(self, bytes: usize) -> Self {
        Self { at: self.at + bytes, ..self }
    }

    pub(super) fn of(self, text: &str) -> RuleError {
        RuleError::new(self.kind, self.at, text)
    }

    fn address(error: &AddressParseError) -> Self {
        Self::new(Kind::Address(error.kind()), error.position())
    }
}

/// See [`Rule`](crate::Rule) for the grammar.
pub(super) fn pattern(text: &str) -> Result<TargetPattern, Fault> {
    if text.is_empty() {
        return Err(Fault::new(Kind::Empty, 0));
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (inner, rest) = inner.split_once(']').ok_or(Fault::new(Kind::UnclosedBracket, 0))?;
        let after = inner.len() + 2;
        let ports = match rest.strip_prefix(':') {
            Some(text) => ports(text).map_err(|fault| fault.behind(after + 1))?,
            None if rest.is_empty() => Ports::ALL,
            None => return Err(Fault::new(Kind::TextAfterBracket, after)),
        };
        if !inner.contains(':') {
            return Err(Fault::new(Kind::NotIpv6, 1));
        }
        return Ok(TargetPattern { host: host(inner).map_err(|fault| fault.behind(1))?, ports });
    }
    match text.split_once(':') {
        // More than one colon is IPv6, which has no port outside brackets.
        Some((_, rest)) if rest.contains(':') => match text.split_once('/') {
            Some((_, length)) if length.contains(':') => Err(Fault::new(Kind::UnbracketedIpv6, 0)),
            _ => Ok(TargetPattern { host: host(text)?, ports: Ports::ALL }),
        },
        Some((before, after)) => {
            let ports = ports(after).map_err(|fault| fault.behind(before.len() + 1))?;
            Ok(TargetPattern { host: host(before)?, ports })
        }
        None => Ok(TargetPattern { host: host(text)?, ports: Ports::ALL }),
    }
}

fn ports(text: &str) -> Result<Ports, Fault> {
    let Some((first, last)) = text.split_once('-') else {
        let port = port(text, 0)?;
        return Ok(Ports { first: port, last: port });
    };
    let ports = Ports { first: port(first, 0)?, last: port(last, first.len() + 1)? };
    if ports.first > ports.last { Err(Fault::new(Kind::PortRange, 0)) } else { Ok(ports) }
}

/// `1*DIGIT`, 1 to 65535: nobody can be dialed at port 0.
fn port(text: &str, at: usize) -> Result<u16, Fault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(Fault::new(Kind::Port, at)),
    }
}

fn host(text: &str) -> Result<HostPattern, Fault> {
    if text == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(class) = Class::of_word(text) {
        return Ok(HostPattern::Class(class));
    }
    if let Some((address, length)) = text.split_once('/') {
        return net(address, length).map(HostPattern::Net);
    }
    if let Some(parent) = text.strip_prefix("*.") {
        if let Some(at) = parent.find('*') {
            return Err(Fault::new(Kind::Wildcard, at + 2));
        }
        return match plain(parent).map_err(|fault| fault.behind(2))? {
            Host::Domain(parent) => Ok(HostPattern::Below(without_dot(parent))),
            Host::Ip(_) | Host::Zoned(..) => Err(Fault::new(Kind::Wildcard, 0)),
        };
    }
    if let Some(at) = text.find('*') {
        return Err(Fault::new(Kind::Wildcard, at));
    }
    match plain(text)? {
        Host::Domain(name) => Ok(HostPattern::Name(without_dot(name))),
        Host::Ip(ip) => Ok(HostPattern::Net(IpNet::from(canonical_ip(ip)))),
        Host::Zoned(..) => Err(zone(text)),
    }
}

fn plain(text: &str) -> Result<Host, Fault> {
    text.parse().map_err(|error| Fault::address(&error))
}

fn zone(text: &str) -> Fault {
    Fault::new(Kind::Zone, text.find('%').unwrap_or(0))
}

/// So that two spellings of one name are one pattern.
fn without_dot(name: Domain) -> Domain {
    if name.is_absolute() { name.as_str().parse().unwrap_or(name) } else { name }
}

fn net(address: &str, length: &str) -> Result<IpNet, Fault> {
    let ip = match plain(address)? {
        Host::Ip(ip) => ip,
        Host::Domain(_) => return Err(Fault::new(Kind::NameWithPrefix, 0)),
        Host::Zoned(..) => return Err(zone(address)),
    };
    let max = if ip.is_ipv4() { 32 } else { 128 };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let fault = || Fault::new(Kind::PrefixLength { max }, address.len() + 1);
    let length = length.parse().ok().filter(|_| digits).ok_or_else(fault)?;
    let net = IpNet::new(ip, length).map_err(|_| fault())?;
    if net.addr() != net.network() {
        return Err(Fault::new(Kind::HostBits { network: net.trunc() }, 0));
    }
    Ok(canonical_net(net))
}

/// A network of IPv4-mapped addresses as the IPv4 network it is, since an address that is about to be dialed is never
/// in the mapped form.
fn canonical_net(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(ip), Some(length)) => Ipv4Net::new(ip, length).map_or(net, IpNet::V4),
        _ => net,
    }
}
