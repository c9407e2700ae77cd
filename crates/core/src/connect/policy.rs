use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use crate::{Description, Domain, canonical_ip, embedded_ipv4};

/// Decides whether an address may be dialed.
///
/// A dialer asks just before every connect: for literals, for each resolved address, at each retry. So a name that
/// resolves to a public address once and to a private one later is caught.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an address policy",
    note = "`AllowAll` allows every address; implement `AddressPolicy` to decide about each"
)]
pub trait AddressPolicy: Send + Sync + 'static {
    /// Allows or refuses one address.
    ///
    /// # Errors
    ///
    /// [`Refused`], with a reason that may be shown to the user who asked.
    fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refused>;

    /// Refuses a name whatever it resolves to, before it is resolved: what may not be dialed is not asked for in the DNS
    /// either. `Ok` is no leave: [`check`](Self::check) is still asked for each address. The default refuses none.
    ///
    /// # Errors
    ///
    /// As those of [`check`](Self::check).
    fn check_name(&self, domain: &Domain, port: u16) -> Result<(), Refused> {
        let _ = (domain, port);
        Ok(())
    }

    /// What a reader of a stack's tree is told of the policy: its name, unless it says more.
    fn describe(&self) -> Description {
        Description::of::<Self>()
    }
}

impl<P: AddressPolicy + ?Sized> AddressPolicy for Arc<P> {
    fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refused> {
        (**self).check(candidate)
    }

    fn check_name(&self, domain: &Domain, port: u16) -> Result<(), Refused> {
        (**self).check_name(domain, port)
    }

    fn describe(&self) -> Description {
        (**self).describe()
    }
}

/// Allows every address: right for clients that dial what their own program says, wrong for proxies.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl AddressPolicy for AllowAll {
    fn check(&self, _: &Candidate<'_>) -> Result<(), Refused> {
        Ok(())
    }
}

/// An address about to be dialed, and the name it was resolved from.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    domain: Option<&'a Domain>,
    addr: SocketAddr,
}

impl<'a> Candidate<'a> {
    /// `addr`, with an IPv4-mapped IPv6 address made IPv4: both reach the same host.
    #[must_use]
    pub fn new(domain: Option<&'a Domain>, mut addr: SocketAddr) -> Self {
        addr.set_ip(canonical_ip(addr.ip()));
        Self { domain, addr }
    }

    /// The name that was resolved; `None` for an address literal.
    #[must_use]
    pub fn domain(&self) -> Option<&'a Domain> {
        self.domain
    }

    /// The address that is dialed, never IPv4-mapped. A policy that knows forbidden networks compares
    /// [`reaches`](Self::reaches), or the [`IpClass`](crate::IpClass), with them.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address at which packets arrive: the IPv4 address that an IPv6 one [embeds](embedded_ipv4) (NAT64, 6to4), and
    /// loopback for the unspecified address, which systems take for this machine.
    #[must_use]
    pub fn reaches(&self) -> IpAddr {
        let ip = match self.addr.ip() {
            IpAddr::V6(ip) => embedded_ipv4(ip).map_or(IpAddr::V6(ip), IpAddr::V4),
            ip => ip,
        };
        match ip {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        }
    }
}

/// Why an address may not be dialed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    kind: RefusedKind,
    reason: Cow<'static, str>,
}

/// What a refusal is about, for whoever has to answer differently to each. The reason is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusedKind {
    /// The address is not allowed.
    Forbidden,
    /// The address is one on which the program that asks listens itself: to dial it would make a loop.
    OwnAddress,
}

impl Refused {
    /// Says that the address is [not allowed](RefusedKind::Forbidden), with a reason that may be shown to the user who
    /// asked.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: RefusedKind::Forbidden, reason: reason.into() }
    }

    /// Sets what the refusal is about.
    #[must_use]
    pub fn with_kind(mut self, kind: RefusedKind) -> Self {
        self.kind = kind;
        self
    }

    /// What the refusal is about.
    #[must_use]
    pub fn kind(&self) -> RefusedKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_sees_where_packets_arrive_whatever_form_the_address_has() {
        for (addr, dialed, reaches) in [
            ("1.2.3.4:80", "1.2.3.4:80", "1.2.3.4"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80", "10.0.0.1"),
            ("[64:ff9b::10.0.0.1]:80", "[64:ff9b::a00:1]:80", "10.0.0.1"),
            ("[2002:a00:1::]:80", "[2002:a00:1::]:80", "10.0.0.1"),
            ("0.0.0.0:80", "0.0.0.0:80", "127.0.0.1"),
            ("[::ffff:0.0.0.0]:80", "0.0.0.0:80", "127.0.0.1"),
            ("[64:ff9b::]:80", "[64:ff9b::]:80", "127.0.0.1"),
            ("[::]:80", "[::]:80", "::1"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80", "2001:db8::1"),
        ] {
            let candidate = Candidate::new(None, addr.parse().unwrap());
            assert_eq!(candidate.addr(), dialed.parse().unwrap(), "{addr}");
            assert_eq!(candidate.reaches(), reaches.parse::<IpAddr>().unwrap(), "{addr}");
        }
    }
}
