use std::{fmt, str::FromStr};

use chaski_core::{Candidate, Domain, IpClass};
use ipnet::IpNet;

use super::parse;
use crate::RuleError;

/// The targets that a [`Rule`](crate::Rule) is about: hosts and, if it says so, ports. The rule's page has the grammar.
///
/// `Display` parses back to an equal pattern.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetPattern {
    pub(super) host: HostPattern,
    pub(super) ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostPattern {
    Any,
    Class(Class),
    Net(IpNet),
    Name(Domain),
    Below(Domain),
}

/// The classes of addresses that have a word in the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    Public,
    Loopback,
    Private,
    LinkLocal,
}

/// Ports from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ports {
    pub(super) first: u16,
    pub(super) last: u16,
}

/// What is known of a match while a name has no address yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameMatch {
    /// Whatever it resolves to.
    Yes,
    /// Whatever it resolves to, not.
    No,
    /// It depends on the address.
    ByAddress,
}

impl TargetPattern {
    /// Whether this target matches.
    pub(super) fn matches(&self, candidate: &Candidate<'_>) -> bool {
        let (addr, domain) = (candidate.addr(), candidate.domain());
        self.ports.contains(addr.port())
            && match &self.host {
                HostPattern::Any => true,
                HostPattern::Class(class) => class.contains(IpClass::of(candidate.reaches())),
                HostPattern::Net(net) => net.contains(&addr.ip()) || net.contains(&candidate.reaches()),
                HostPattern::Name(name) => domain.is_some_and(|asked| is(asked, name)),
                HostPattern::Below(parent) => domain.is_some_and(|asked| is_below(asked, parent)),
            }
    }

    /// Whether this name matches on this port.
    pub(super) fn matches_name(&self, asked: &Domain, port: u16) -> NameMatch {
        if !self.ports.contains(port) {
            return NameMatch::No;
        }
        let matches = match &self.host {
            HostPattern::Class(_) | HostPattern::Net(_) => return NameMatch::ByAddress,
            HostPattern::Any => true,
            HostPattern::Name(name) => is(asked, name),
            HostPattern::Below(parent) => is_below(asked, parent),
        };
        if matches { NameMatch::Yes } else { NameMatch::No }
    }

    /// Whether the pattern tells addresses: from a match, who asked for a name would learn what it resolves to.
    pub(super) fn tells_addresses(&self) -> bool {
        matches!(self.host, HostPattern::Net(_))
    }

    pub(super) fn parse(text: &str) -> Result<Self, parse::Fault> {
        parse::pattern(text)
    }
}

/// A trailing dot concerns the search list of a resolver, not which name it is; `as_str` has none.
fn is(asked: &Domain, name: &Domain) -> bool {
    asked.as_str() == name.as_str()
}

fn is_below(asked: &Domain, parent: &Domain) -> bool {
    asked.is_subdomain_of(parent) && !is(asked, parent)
}

impl Class {
    const ALL: [Self; 4] = [Self::Public, Self::Loopback, Self::Private, Self::LinkLocal];

    /// The class of this word, in either case.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| word.eq_ignore_ascii_case(class.word()))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
        }
    }

    fn contains(self, class: IpClass) -> bool {
        match self {
            Self::Public => class == IpClass::Public,
            Self::Loopback => class == IpClass::Loopback,
            Self::Private => matches!(class, IpClass::Private | IpClass::UniqueLocal),
            Self::LinkLocal => class == IpClass::LinkLocal,
        }
    }
}

impl Ports {
    pub(super) const ALL: Self = Self { first: 0, last: u16::MAX };

    fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for TargetPattern {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Self::parse(text).map_err(|fault| fault.of(text))
    }
}

impl fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_brackets = self.ports != Ports::ALL && matches!(self.host, HostPattern::Net(IpNet::V6(_)));
        let (open, close) = if in_brackets { ("[", "]") } else { ("", "") };
        match &self.host {
            HostPattern::Any => f.write_str("*")?,
            HostPattern::Class(class) => f.write_str(class.word())?,
            HostPattern::Net(net) if net.prefix_len() == net.max_prefix_len() => {
                write!(f, "{open}{}{close}", net.addr())?;
            }
            HostPattern::Net(net) => write!(f, "{open}{net}{close}")?,
            HostPattern::Name(name) if Class::of_word(name.as_str()).is_some() => write!(f, "{}.", name.as_str())?,
            HostPattern::Name(name) => f.write_str(name.as_str())?,
            HostPattern::Below(parent) => write!(f, "*.{}", parent.as_str())?,
        }
        match self.ports {
            Ports::ALL => Ok(()),
            Ports { first, last } if first == last => write!(f, ":{first}"),
            Ports { first, last } => write!(f, ":{first}-{last}"),
        }
    }
}

/// As `Display`.
impl fmt::Debug for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
