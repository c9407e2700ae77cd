//! Target: addresses as people and peers write them.
//!
//! Text, taken as it is: a host, a host with its port, a name, a network, an address to listen on.

use std::{
    fmt::{Debug, Display},
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use chaski_core::{Domain, Host, HostPort, IpClass, canonical_ip};
use chaski_net::matcher::Cidr;

/// What parses prints as a text that parses to the same; what goes to peers carries nothing that a peer must not see; a
/// network contains what arithmetic says.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Some(domain) = comes_back::<Domain>(text) {
        check_name(&domain);
    }
    if let Some(host) = comes_back::<Host>(text) {
        check_host(&host, &host.uri().to_string());
    }
    if let Some(target) = comes_back::<HostPort>(text) {
        let uri = target.uri().to_string();
        let (host, port) = uri.rsplit_once(':').expect("a port is always there");
        assert_eq!(port.parse(), Ok(target.port));
        check_host(&target.host, host);
        assert_eq!(HostPort::parse_with_default_port(text, 1), Ok(target));
    } else if let Ok(target) = HostPort::parse_with_default_port(text, 1) {
        assert_eq!(target.port, 1, "there is no port in {text:?}");
    }
    comes_back::<SocketAddr>(text);
    if let Some(network) = comes_back::<Cidr>(text) {
        check_network(network, text);
    }
}

/// Parses, prints and parses again; an error is printed.
fn comes_back<T: FromStr<Err: Display> + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            let again = printed.parse::<T>();
            assert!(again.is_ok_and(|again| again == value), "{text:?} is {printed:?}, which is something else");
            Some(value)
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

/// RFC 1035 section 2.3.4, and what the type's page adds.
fn check_name(name: &Domain) {
    let text = name.as_str();
    assert!((1..=253).contains(&text.len()));
    for label in text.split('.') {
        assert!((1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-'), "{text}");
        assert!(label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')), "{text}");
    }
    // What some resolver takes for an address is not a name.
    let last = text.rsplit('.').next().unwrap_or_default();
    assert!(!last.bytes().all(|byte| byte.is_ascii_digit()), "{text}");
    assert!(text.parse::<IpAddr>().is_err());
    assert!(name.is_subdomain_of(name));
}

fn check_host(host: &Host, uri: &str) {
    assert!(!uri.contains('%') && !uri.ends_with('.'), "not for peers: {uri:?}");
    let parsed: http::uri::Authority = uri.parse().unwrap_or_else(|error| panic!("{uri:?} in a URI: {error}"));
    assert_eq!(parsed.as_str(), uri);
    assert_eq!(host.as_domain().is_some(), host.ip().is_none());
    if let Some(ip) = host.ip() {
        // An address that is mapped is of the class of what it stands for.
        assert_eq!(IpClass::of(ip), IpClass::of(canonical_ip(ip)));
    }
}

/// The bits before the length decide, and no others.
fn check_network(network: Cidr, text: &str) {
    let printed = network.to_string();
    let (address, length) = printed.split_once('/').unwrap_or((&printed, "128"));
    let address: IpAddr = address.parse().expect("a network begins with an address");
    let (bits, size): (u128, u32) = match address {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)), 32),
        IpAddr::V6(ip) => (u128::from(ip), 128),
    };
    let length = length.parse::<u32>().expect("a length").min(size);
    let of = |bits: u128| match address {
        IpAddr::V4(_) => IpAddr::from(u32::try_from(bits).expect("no bits beyond 32").to_be_bytes()),
        IpAddr::V6(_) => IpAddr::from(bits.to_be_bytes()),
    };
    assert!(network.contains(address), "{text}");
    for bit in 0..size {
        let flipped = of(bits ^ (1 << (size - 1 - bit)));
        // An IPv6 address may also be in the network by the IPv4 address that it embeds, but not in one of IPv6 alone.
        if bit >= length {
            assert!(network.contains(flipped), "{flipped} in {text}");
        } else if network.contains(flipped) {
            panic!("{flipped} is in {text}, but for bit {bit}");
        }
    }
}
