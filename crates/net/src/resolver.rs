//! From names to addresses: the question, the answer, and the system's own resolver.

mod places;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
};

use chaski_core::{Caller, Description, Domain, Service};

use self::places::Places;
use crate::{IpFamily, ResolveError};

/// A name to resolve: what a [`Dialer`](crate::Dialer) asks of its resolver, which is any `Service<Lookup, Output = Addrs>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Lookup {
    /// The name.
    pub domain: Domain,
    /// The family that will be dialed. A hint that spares a query: addresses of the other one are passed over.
    pub family: IpFamily,
    /// On whose behalf. It may decide when the name is resolved, so that callers take turns, and never to what: a resolver that
    /// keeps answers keeps them for all.
    pub caller: Caller,
}

impl Lookup {
    /// Asks for addresses of all families, on nobody's behalf.
    #[must_use]
    pub const fn new(domain: Domain) -> Self {
        Self { domain, family: IpFamily::Any, caller: Caller::Unknown }
    }

    /// Sets the family that will be dialed.
    #[must_use]
    pub const fn with_family(mut self, family: IpFamily) -> Self {
        self.family = family;
        self
    }

    /// Says on whose behalf.
    #[must_use]
    pub fn with_caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }
}

/// The addresses of a name, best first.
///
/// A dialer keeps their order within each family and begins with the family of the first one. A resolver that wants to
/// spread load shuffles; one that sorts by RFC 6724 section 6 has the last word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addrs(Vec<IpAddr>);

impl Addrs {
    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, IpAddr> {
        self.0.iter()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the name has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<IpAddr>> for Addrs {
    fn from(addrs: Vec<IpAddr>) -> Self {
        Self(addrs)
    }
}

impl FromIterator<IpAddr> for Addrs {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addrs: I) -> Self {
        Self(addrs.into_iter().collect())
    }
}

impl IntoIterator for Addrs {
    type Item = IpAddr;
    type IntoIter = std::vec::IntoIter<IpAddr>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Addrs {
    type Item = &'a IpAddr;
    type IntoIter = std::slice::Iter<'a, IpAddr>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The resolver of the operating system (`getaddrinfo`): hosts file, mDNS, search list and RFC 6724 order as the machine is
/// set up.
///
/// It blocks a thread of tokio's blocking pool for every look-up, has no cache and no limit in time of its own; a dialer's
/// total limit holds.
///
/// # Limits
///
/// [`DEFAULT_CONCURRENCY`](Self::DEFAULT_CONCURRENCY) look-ups run at a time, so that dead name servers cannot take all
/// threads of the blocking pool. Others wait in order, each inside its caller's future. Clones share the limit.
///
/// One [`Caller`] has an eighth of them at most, 8, so that who asks for names whose servers are silent, one after the other,
/// holds up nobody else; it takes eight such callers at once. Look-ups on nobody's behalf ([`Caller::Unknown`]: a program's
/// own, and those for clients on Unix sockets) have no such bound. Behind one address translator, or without users, many
/// clients are one caller.
///
/// # Cancel safety
///
/// `getaddrinfo` cannot be interrupted: a look-up that is dropped keeps its thread, and its place, until the system answers.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    places: Arc<Places>,
    ask: fn(&str) -> io::Result<Vec<IpAddr>>,
}

impl SystemResolver {
    /// How many look-ups run at a time: an eighth of the threads that tokio's blocking pool may have.
    pub const DEFAULT_CONCURRENCY: usize = 64;

    /// With the default concurrency.
    #[must_use]
    pub fn new() -> Self {
        Self::with_concurrency(Self::DEFAULT_CONCURRENCY)
    }

    /// Runs that many look-ups at a time, at least one.
    #[must_use]
    pub fn with_concurrency(lookups: usize) -> Self {
        Self { places: Arc::new(Places::new(lookups)), ask: ask_system }
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Service<Lookup> for SystemResolver {
    type Output = Addrs;
    type Error = ResolveError;

    async fn serve(&self, lookup: Lookup) -> Result<Addrs, ResolveError> {
        let Lookup { domain, family, caller } = lookup;
        let place = self.places.take(caller).await;
        let ask = self.ask;
        // With its trailing dot, if it was written with one: that keeps the search list out.
        let name = domain.to_string();
        let answer = tokio::task::spawn_blocking(move || {
            // Held by the thread, not by the future that may be dropped.
            let _place = place;
            ask(&name)
        })
        .await
        .unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
        let addrs = match answer {
            Ok(addrs) => addrs.into_iter().filter(|ip| family.allows(*ip)).collect::<Addrs>(),
            Err(source) => return Err(ResolveError::System { domain, source }),
        };
        if addrs.is_empty() { Err(ResolveError::NoAddresses { domain, family }) } else { Ok(addrs) }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .setting("concurrency", self.places.in_all())
            .setting("of_one_caller", self.places.of_one())
    }
}

fn ask_system(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|addr| addr.ip()).collect())
}
