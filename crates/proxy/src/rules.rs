//! Which addresses may be dialed.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use chaski_core::{AddressPolicy, Candidate, Description, HostPort, IpClass, Refused, RefusedKind};

mod allow;

pub use allow::AllowRule;

/// The address policy of a proxy: public addresses, and what its rules allow beyond them.
///
/// A proxy dials what its clients name, from where it stands. Without a policy, everybody who may use it reaches all
/// that its machine reaches: services on loopback, the private network, the metadata service of a cloud. So everything
/// that is not globally reachable unicast by [`IpClass`] is refused by default; an IPv6 address that embeds an IPv4 one
/// (mapped, NAT64, 6to4) goes by the latter.
///
/// The dialer asks just before each connect, for every address that a name has resolved to. So a name that resolves to a
/// public address at first and to a private one later, is refused like the private address itself.
///
/// Ports are not limited: a client may ask for any of a public address.
///
/// ```
/// use chaski_core::{AddressPolicy, Candidate};
/// use chaski_proxy::Rules;
///
/// let rules = Rules::public_only().with_allow("10.1.0.0/16:443".parse()?);
/// let check = |addr: &str| rules.check(&Candidate::new(None, addr.parse().unwrap()));
///
/// assert!(check("1.1.1.1:25").is_ok());
/// assert!(check("10.1.2.3:443").is_ok());
/// let refused = check("10.1.2.3:80").unwrap_err();
/// assert_eq!(refused.to_string(), "no rule allows 10.1.2.3:80, whose address is private");
/// # Ok::<(), chaski_proxy::AllowRuleError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules {
    allow: Vec<AllowRule>,
    own: Vec<SocketAddr>,
}

impl Rules {
    /// Public addresses alone.
    #[must_use]
    pub const fn public_only() -> Self {
        Self { allow: Vec::new(), own: Vec::new() }
    }

    /// Allows what `rule` matches, too.
    #[must_use]
    pub fn with_allow(mut self, rule: AllowRule) -> Self {
        self.allow.push(rule);
        self
    }

    /// Names the addresses on which the proxy itself listens: no rule allows to dial one of them, and who asks is told
    /// of a loop (508).
    ///
    /// One with an unspecified IP (`0.0.0.0:3128`) stands for loopback and unspecified addresses with its port. Which
    /// others the machine has is not known here: name them too, where they are known.
    #[must_use]
    pub fn with_own_addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.own.extend(addresses.into_iter().map(|own| Candidate::new(None, own).addr()));
        self
    }

    fn is_own(&self, addr: SocketAddr) -> bool {
        self.own.iter().any(|own| own.port() == addr.port() && reaches(own.ip(), addr.ip()))
    }
}

/// Whether a listener on `own` takes what is sent to `ip`.
fn reaches(own: IpAddr, ip: IpAddr) -> bool {
    let own_class = IpClass::of(own);
    match IpClass::of(ip) {
        // Systems take an unspecified destination for this machine (RFC 1122 section 3.2.1.3 (a) forbids it in vain).
        IpClass::Unspecified => matches!(own_class, IpClass::Unspecified | IpClass::Loopback),
        IpClass::Loopback if own_class == IpClass::Unspecified => true,
        _ => own == ip,
    }
}

impl Extend<AllowRule> for Rules {
    fn extend<I: IntoIterator<Item = AllowRule>>(&mut self, rules: I) {
        self.allow.extend(rules);
    }
}

impl FromIterator<AllowRule> for Rules {
    fn from_iter<I: IntoIterator<Item = AllowRule>>(rules: I) -> Self {
        Self { allow: rules.into_iter().collect(), own: Vec::new() }
    }
}

impl AddressPolicy for Rules {
    /// # Errors
    ///
    /// The reason names what was asked for and the class of its address, but for a name never the address: that would
    /// let a client read the private side of the DNS.
    fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refused> {
        if self.is_own(candidate.addr()) {
            let refused = Refused::new("that is an address of this proxy itself");
            return Err(refused.with_kind(RefusedKind::OwnAddress));
        }
        let class = IpClass::of(candidate.addr().ip());
        if class.is_public() || self.allow.iter().any(|rule| rule.allows(candidate)) {
            return Ok(());
        }
        let asked = match candidate.domain() {
            Some(domain) => HostPort::new(domain.clone(), candidate.addr().port()),
            None => HostPort::from(candidate.addr()),
        };
        Err(Refused::new(format!("no rule allows {asked}, whose address is {class}")))
    }

    fn describe(&self) -> Description {
        let mut allowed = "public".to_owned();
        for rule in &self.allow {
            // Writing to a string does not fail.
            let _ = write!(allowed, ",{rule}");
        }
        Description::of::<Self>().setting("allow", allowed)
    }
}

#[cfg(test)]
mod tests;
