//! What a target and a route ask for, before anything is resolved or sent.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use chaski_core::{ConnectError, ConnectStage, Domain, Route, Target, Zone, canonical_ip};

use super::{IpFamily, LocalAddr};

/// What the route says about the dial: the family, which a local address decides too, and that address.
pub(super) fn choices(route: &Route, target: &Target) -> Result<(IpFamily, Option<IpAddr>), ConnectError> {
    let family = route.choice::<IpFamily>().copied().unwrap_or_default();
    let local = route.choice::<LocalAddr>().map(|local| canonical_ip(local.0));
    // Every layer above has had its turn by now.
    if let Some(choice) = route.unread() {
        return Err(config(format!("{target}: no connector reads the route's choice `{choice}`")));
    }
    match local {
        Some(local) if !family.allows(local) => {
            Err(config(format!("{target}: the route asks for {family}, and for {local} as the local address")))
        }
        Some(local) => Ok((IpFamily::of(local), Some(local))),
        None => Ok((family, None)),
    }
}

/// The only address of a target that needs no resolving.
pub(super) fn literal(
    mut addr: SocketAddr,
    family: IpFamily,
    target: &Target,
) -> Result<Vec<SocketAddr>, ConnectError> {
    addr.set_ip(canonical_ip(addr.ip()));
    if family.allows(addr.ip()) {
        Ok(vec![addr])
    } else {
        Err(config(format!("{target} is not an {family} address, which the route asks for")))
    }
}

/// The number of the interface that a zone means.
///
/// A name is looked up by the system's resolver, which knows interfaces on every platform (RFC 4007 section 11) and asks no
/// server about a literal address.
pub(super) async fn scope_id(ip: Ipv6Addr, zone: &Zone) -> io::Result<u32> {
    if let Some(index) = zone.index() {
        return Ok(index);
    }
    let found = tokio::net::lookup_host((format!("{ip}%{zone}"), 0)).await;
    let scope = found.ok().and_then(|mut addrs| {
        addrs.find_map(|addr| match addr {
            SocketAddr::V6(addr) if addr.scope_id() != 0 => Some(addr.scope_id()),
            _ => None,
        })
    });
    scope.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no network interface is named {zone}")))
}

/// The name that is being dialed, for the policy.
pub(super) fn domain_of(target: &Target) -> Option<&Domain> {
    match target {
        Target::Host(target) => target.host.as_domain(),
        _ => None,
    }
}

/// An error of what was asked for.
pub(super) fn config(message: String) -> ConnectError {
    ConnectError::new(ConnectStage::Config).with_message(message)
}
