//! Which addresses may be dialed.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use chaski_core::{AddressPolicy, Candidate, Description, Domain, HostPort, IpClass, Refused, RefusedKind};

mod parse;
mod pattern;
mod rule;

pub use pattern::TargetPattern;
pub use rule::Rule;

use pattern::NameMatch;

/// The address policy of a proxy: a list of [`Rule`]s, of which **the first that matches decides**.
///
/// A proxy dials what its clients name, from where it stands. Without a policy, everybody who may use it reaches all
/// that its machine reaches: services on loopback, the private network, the metadata service of a cloud. So every list
/// ends with `allow public` and `deny *`: what no rule matches is dialed if it is globally reachable unicast by
/// [`IpClass`], on any port, and refused otherwise. An IPv6 address that embeds an IPv4 one (mapped, NAT64, 6to4) goes by
/// the latter.
///
/// The dialer asks just before each connect, for every address that a name has resolved to. So a name that resolves to a
/// public address at first and to a private one later, is refused like the private address itself. A name that is denied
/// whatever it resolves to is refused before it is resolved: put the rules with names in front, since one that allows
/// addresses has to see the address first.
///
/// ```
/// use chaski_core::{AddressPolicy, Candidate};
/// use chaski_proxy::{Rule, Rules};
///
/// let rules: Rules = ["deny *.ads.example", "deny *:25", "allow 10.1.0.0/16:443"]
///     .into_iter()
///     .map(str::parse::<Rule>)
///     .collect::<Result<_, _>>()?;
/// let check = |addr: &str| rules.check(&Candidate::new(None, addr.parse().unwrap()));
///
/// assert!(check("1.1.1.1:80").is_ok());
/// assert!(check("10.1.2.3:443").is_ok());
/// assert_eq!(check("1.1.1.1:25").unwrap_err().to_string(), "denied by the rule \"deny *:25\"");
/// let refused = check("10.1.2.3:80").unwrap_err();
/// assert_eq!(refused.to_string(), "no rule allows 10.1.2.3:80, whose address is private");
/// assert!(rules.check_name(&"x.ads.example".parse().unwrap(), 443).is_err());
/// # Ok::<(), chaski_proxy::RuleError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rules {
    list: Vec<Rule>,
    own: Vec<SocketAddr>,
}

impl Rules {
    /// No rule but those at the end of every list: public addresses alone.
    #[must_use]
    pub const fn public_only() -> Self {
        Self { list: Vec::new(), own: Vec::new() }
    }

    /// Adds `rule` behind those added before.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.list.push(rule);
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

/// The rule at `place` denies; the reason names it. A network in it would tell who asked for a name what the name
/// resolves to, so then the rule has a number instead.
fn denied(place: usize, rule: &Rule, asked: Option<&Domain>) -> Refused {
    if asked.is_some() && rule.pattern().tells_addresses() {
        let number = place + 1;
        return Refused::new(format!("denied by rule {number}, which is about addresses"));
    }
    Refused::new(format!("denied by the rule \"{rule}\""))
}

impl Extend<Rule> for Rules {
    fn extend<I: IntoIterator<Item = Rule>>(&mut self, rules: I) {
        self.list.extend(rules);
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        Self { list: rules.into_iter().collect(), own: Vec::new() }
    }
}

impl AddressPolicy for Rules {
    /// # Errors
    ///
    /// The reason names the rule, or what was asked for and the class of its address; but for a name never the address:
    /// that would let a client read the private side of the DNS.
    fn check(&self, candidate: &Candidate<'_>) -> Result<(), Refused> {
        let (addr, domain) = (candidate.addr(), candidate.domain());
        if self.is_own(addr) {
            let refused = Refused::new("that is an address of this proxy itself");
            return Err(refused.with_kind(RefusedKind::OwnAddress));
        }
        let first = self.list.iter().enumerate().find(|(_, rule)| rule.pattern().matches(candidate));
        match (first, IpClass::of(addr.ip())) {
            (Some((_, Rule::Allow(_))), _) => Ok(()),
            (Some((place, rule @ Rule::Deny(_))), _) => Err(denied(place, rule, domain)),
            (None, class) if class.is_public() => Ok(()),
            (None, class) => {
                let asked = match domain {
                    Some(domain) => HostPort::new(domain.clone(), addr.port()),
                    None => HostPort::from(addr),
                };
                Err(Refused::new(format!("no rule allows {asked}, whose address is {class}")))
            }
        }
    }

    /// # Errors
    ///
    /// The reason names the rule.
    fn check_name(&self, domain: &Domain, port: u16) -> Result<(), Refused> {
        for (place, rule) in self.list.iter().enumerate() {
            match (rule, rule.pattern().matches_name(domain, port)) {
                // Whether this one denies or the next that does, is the same.
                (_, NameMatch::No) | (Rule::Deny(_), NameMatch::ByAddress) => {}
                (Rule::Deny(_), NameMatch::Yes) => return Err(denied(place, rule, Some(domain))),
                (Rule::Allow(_), NameMatch::Yes | NameMatch::ByAddress) => return Ok(()),
            }
        }
        Ok(())
    }

    fn describe(&self) -> Description {
        let mut list = String::new();
        for rule in &self.list {
            // Writing to a string does not fail.
            let _ = write!(list, "{rule}, ");
        }
        Description::of::<Self>().setting("first_match", format_args!("[{list}allow public, deny *]"))
    }
}

#[cfg(test)]
mod tests;
