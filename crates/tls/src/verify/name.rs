//! Whom a client expects.

use chaski_core::{Connect, Host, Target, canonical_ip};
use rustls::pki_types::ServerName;

/// The name that the server's certificate has to have: the one that the `Connect` says, else that of the target. `None` when
/// there is none, as for a Unix socket.
pub(crate) fn expected_host(connect: &Connect) -> Option<Host> {
    match (&connect.server_name, &connect.target) {
        (Some(host), _) => Some(host.clone()),
        (None, Target::Host(target)) => Some(target.host.clone()),
        (None, Target::Addr(addr)) => Some(addr.ip().into()),
        (None, _) => None,
    }
}

/// The name to look for in a certificate.
///
/// A name goes into the hello too (SNI), without the dot that makes it absolute (RFC 6066 section 3), which neither of the two types
/// keeps. An address does not, and is looked for among the addresses of the certificate.
pub(crate) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.as_str().to_owned()).ok(),
        // An IPv4-mapped address is dialed as the IPv4 address that it is. A zone says which link of this machine is meant: no
        // certificate knows of that.
        Host::Ip(_) | Host::Zoned(..) => host.ip().map(|ip| canonical_ip(ip).into()),
    }
}
