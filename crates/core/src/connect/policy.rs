use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use crate::{Domain, canonical_ip};

/// Decides whether an address may be dialed.
///
/// A dialer asks just before every connect: for literals, for each resolved address, at each retry. So a name that
/// resolves to a public address once and to a private one later is caught.
pub trait AddressPolicy: Send + Sync + 'static {
    /// Allows or refuses one address.
    ///
    /// # Errors
    ///
    /// [`Refused`], with a reason that may be shown to the user who asked.
    fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refused>;
}

impl<P: AddressPolicy + ?Sized> AddressPolicy for Arc<P> {
    fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refused> {
        (**self).check(candidate)
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

    /// The address, never IPv4-mapped.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Why an address may not be dialed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    reason: Cow<'static, str>,
}

impl Refused {
    /// Refuses with a reason that may be shown to the user who asked.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into() }
    }
}
