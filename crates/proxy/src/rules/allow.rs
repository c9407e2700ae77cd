use std::{fmt, net::IpAddr, str::FromStr};

use chaski_core::{AddressParseError, Candidate, Domain, Host, canonical_ip, embedded_ipv4};
use ipnet::{IpNet, Ipv4Net};

use crate::{AllowRuleError, AllowRuleErrorKind as Kind};

/// A rule that allows to dial what is not public.
///
/// | rule | allows |
/// |---|---|
/// | `192.0.2.7`, `::1`, `[::1]` | the address |
/// | `10.0.0.0/8`, `fd00::/8`, `[fd00::/8]` | the addresses of the network |
/// | `db.example.com` | the name and no other, whatever address it resolves to |
/// | `*.example.com` | the names below it, not `example.com` itself, whatever addresses they resolve to |
/// | any of them with `:443` behind it (IPv6 in brackets) | that port alone |
///
/// A rule with a name trusts whoever answers for that name in the DNS: with `*.example.com`, who controls one name below
/// `example.com` can point it at any address that the proxy reaches, loopback included. Where the addresses are known,
/// a rule with addresses is the safer one.
///
/// An address rule goes by the address that is dialed, whatever name was asked for. An IPv6 address that embeds an
/// IPv4 one matches by either. `0.0.0.0/0` and `::/0` allow everything.
///
/// `Display` parses back to an equal rule.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AllowRule {
    pattern: Pattern,
    port: Option<u16>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Pattern {
    Net(IpNet),
    Name(Domain),
    Below(Domain),
}

impl AllowRule {
    pub(super) fn allows(&self, candidate: &Candidate<'_>) -> bool {
        let addr = candidate.addr();
        if self.port.is_some_and(|port| port != addr.port()) {
            return false;
        }
        match (&self.pattern, candidate.domain()) {
            (Pattern::Net(net), _) => {
                net.contains(&addr.ip()) || embedded(addr.ip()).is_some_and(|ip| net.contains(&ip))
            }
            (Pattern::Name(name), Some(asked)) => asked.as_str() == name.as_str(),
            (Pattern::Below(parent), Some(asked)) => asked.is_subdomain_of(parent) && asked.as_str() != parent.as_str(),
            (Pattern::Name(_) | Pattern::Below(_), None) => false,
        }
    }
}

fn embedded(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => embedded_ipv4(ip).map(IpAddr::V4),
    }
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<Self, AllowRuleError> {
        parse(text).map_err(|Fault { kind, at }| AllowRuleError::new(kind, at, text))
    }
}

impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_brackets = self.port.is_some() && matches!(self.pattern, Pattern::Net(IpNet::V6(_)));
        let (open, close) = if in_brackets { ("[", "]") } else { ("", "") };
        match &self.pattern {
            Pattern::Net(net) if net.prefix_len() == net.max_prefix_len() => write!(f, "{open}{}{close}", net.addr())?,
            Pattern::Net(net) => write!(f, "{open}{net}{close}")?,
            Pattern::Name(name) => f.write_str(name.as_str())?,
            Pattern::Below(parent) => write!(f, "*.{}", parent.as_str())?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// As `Display`: a rule in a log line reads like a rule.
impl fmt::Debug for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error before it knows the rule around it.
struct Fault {
    kind: Kind,
    at: usize,
}

impl Fault {
    fn new(kind: Kind, at: usize) -> Self {
        Self { kind, at }
    }

    fn address(error: &AddressParseError, start: usize) -> Self {
        Self::new(Kind::Address(error.kind()), start + error.position())
    }
}

fn parse(text: &str) -> Result<AllowRule, Fault> {
    if text.is_empty() {
        return Err(Fault::new(Kind::Empty, 0));
    }
    if let Some(inner) = text.strip_prefix('[') {
        let (inner, rest) = inner.split_once(']').ok_or(Fault::new(Kind::UnclosedBracket, 0))?;
        let after = inner.len() + 2;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(parse_port(port, after + 1)?),
            None if rest.is_empty() => None,
            None => return Err(Fault::new(Kind::TextAfterBracket, after)),
        };
        if !inner.contains(':') {
            return Err(Fault::new(Kind::NotIpv6, 1));
        }
        return Ok(AllowRule { pattern: parse_pattern(inner, 1)?, port });
    }
    match text.split_once(':') {
        // More than one colon is IPv6, which has no port outside brackets.
        Some((_, rest)) if rest.contains(':') => match text.split_once('/') {
            Some((_, length)) if length.contains(':') => Err(Fault::new(Kind::UnbracketedIpv6, 0)),
            _ => Ok(AllowRule { pattern: parse_pattern(text, 0)?, port: None }),
        },
        Some((pattern, port)) => {
            let port = parse_port(port, pattern.len() + 1)?;
            Ok(AllowRule { pattern: parse_pattern(pattern, 0)?, port: Some(port) })
        }
        None => Ok(AllowRule { pattern: parse_pattern(text, 0)?, port: None }),
    }
}

/// `1*DIGIT`, 1 to 65535: nobody can be dialed at port 0.
fn parse_port(text: &str, at: usize) -> Result<u16, Fault> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(Fault::new(Kind::Port, at)),
    }
}

/// `text` stands at the byte `start` of the rule.
fn parse_pattern(text: &str, start: usize) -> Result<Pattern, Fault> {
    if let Some((address, length)) = text.split_once('/') {
        return parse_net(address, length, start).map(Pattern::Net);
    }
    if let Some(parent) = text.strip_prefix("*.") {
        let start = start + 2;
        if let Some(at) = parent.find('*') {
            return Err(Fault::new(Kind::Wildcard, start + at));
        }
        return match parse_host(parent, start)? {
            Host::Domain(parent) => Ok(Pattern::Below(without_dot(parent))),
            Host::Ip(_) | Host::Zoned(..) => Err(Fault::new(Kind::Wildcard, start - 2)),
        };
    }
    if let Some(at) = text.find('*') {
        return Err(Fault::new(Kind::Wildcard, start + at));
    }
    match parse_host(text, start)? {
        Host::Domain(name) => Ok(Pattern::Name(without_dot(name))),
        Host::Ip(ip) => Ok(Pattern::Net(IpNet::from(canonical_ip(ip)))),
        Host::Zoned(..) => Err(Fault::new(Kind::Zone, start + text.find('%').unwrap_or(0))),
    }
}

fn parse_host(text: &str, start: usize) -> Result<Host, Fault> {
    text.parse().map_err(|error| Fault::address(&error, start))
}

/// A trailing dot concerns the search list of a resolver, not which name it is.
fn without_dot(name: Domain) -> Domain {
    if name.is_absolute() { name.as_str().parse().unwrap_or(name) } else { name }
}

fn parse_net(address: &str, length: &str, start: usize) -> Result<IpNet, Fault> {
    let ip = match parse_host(address, start)? {
        Host::Ip(ip) => ip,
        Host::Domain(_) => return Err(Fault::new(Kind::NameWithPrefix, start)),
        Host::Zoned(..) => return Err(Fault::new(Kind::Zone, start + address.find('%').unwrap_or(0))),
    };
    let max = if ip.is_ipv4() { 32 } else { 128 };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let fault = || Fault::new(Kind::PrefixLength { max }, start + address.len() + 1);
    let length = length.parse().ok().filter(|_| digits).ok_or_else(fault)?;
    let net = IpNet::new(ip, length).map_err(|_| fault())?;
    if net.addr() != net.network() {
        return Err(Fault::new(Kind::HostBits { network: net.trunc() }, start));
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
