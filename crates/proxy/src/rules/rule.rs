use std::{fmt, str::FromStr};

use super::{
    parse::{Fault, Kind},
    pattern::TargetPattern,
};
use crate::RuleError;

/// One entry of [`Rules`](super::Rules): allows or denies the targets that its pattern matches.
///
/// As text it is `allow PATTERN` or `deny PATTERN`; `Display` parses back to an equal rule.
///
/// ```
/// use chaski_proxy::Rule;
///
/// let rule: Rule = "allow 10.0.0.0/8:443".parse()?;
/// assert_eq!(rule, Rule::Allow("10.0.0.0/8:443".parse()?));
/// assert_eq!(rule.to_string(), "allow 10.0.0.0/8:443");
/// # Ok::<(), chaski_proxy::RuleError>(())
/// ```
///
/// # Grammar
///
/// In the notation of RFC 5234, where words match in either case:
///
/// ```text
/// rule    = ( "allow" / "deny" ) 1*SP pattern
/// pattern = host [ ":" ports ]               ; without ports: all of them
/// ports   = port [ "-" port ]                ; 1 to 65535, the first not above the second
/// host    = "*" / class / name / "*." name / net
/// class   = "public" / "loopback" / "private" / "link-local"
/// net     = ip [ "/" length ]                ; no bits of the address behind the length
/// ip      = IPv4 / IPv6 / "[" IPv6 [ "/" length ] "]"    ; with ports, IPv6 stands in brackets
/// ```
///
/// | host | matches |
/// |---|---|
/// | `*` | everything |
/// | `public` | globally reachable unicast addresses |
/// | `loopback` | this machine: `127.0.0.0/8`, `::1`, and the unspecified addresses, which systems take for it |
/// | `private` | private use: RFC 1918, RFC 4193 (`fc00::/7`), `64:ff9b:1::/48`, site-local |
/// | `link-local` | `169.254.0.0/16`, where the metadata services of clouds live, and `fe80::/10` |
/// | `192.0.2.7`, `::1`, `[::1]` | the address |
/// | `10.0.0.0/8`, `fd00::/8`, `[fd00::/8]` | the addresses of the network |
/// | `db.example.com` | the name and no other |
/// | `*.example.com` | the names below it, not `example.com` itself |
///
/// A name that is spelled like a class is written with a trailing dot: `private.`
///
/// # What is compared
///
/// **Names** are compared with the name that was asked for: in lower case, without a trailing dot, in IDNA's A-label form.
/// Who asks for an address has asked for no name. A rule that allows a name trusts whoever answers for it in the DNS: with
/// `allow *.example.com`, who controls one name below `example.com` can point it at any address that the proxy reaches,
/// loopback included. A rule that denies a name is passed by who knows its address, or another name for it: a search list
/// of the system's resolver makes such names. Where the addresses are known, a rule with addresses is the safer one.
///
/// **Addresses and classes** are compared with the address that is about to be dialed, whatever name led to it, in every
/// form that it has: as it stands, the IPv4 address that an IPv6 one embeds (mapped, NAT64, 6to4), and loopback for the
/// unspecified address. A rule that matches any of them matches.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The targets may be dialed.
    Allow(TargetPattern),
    /// The targets may not be dialed.
    Deny(TargetPattern),
}

impl Rule {
    /// What it is about.
    #[must_use]
    pub fn pattern(&self) -> &TargetPattern {
        match self {
            Self::Allow(pattern) | Self::Deny(pattern) => pattern,
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse(text).map_err(|fault| fault.of(text))
    }
}

fn parse(text: &str) -> Result<Rule, Fault> {
    let (action, rest) = text.split_once(' ').ok_or(Fault::new(Kind::Action, 0))?;
    let make = match action {
        _ if action.eq_ignore_ascii_case("allow") => Rule::Allow,
        _ if action.eq_ignore_ascii_case("deny") => Rule::Deny,
        _ => return Err(Fault::new(Kind::Action, 0)),
    };
    let pattern = rest.trim_start_matches(' ');
    TargetPattern::parse(pattern).map(make).map_err(|fault| fault.behind(text.len() - pattern.len()))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow(pattern) => write!(f, "allow {pattern}"),
            Self::Deny(pattern) => write!(f, "deny {pattern}"),
        }
    }
}

/// As `Display`: a rule in a log line reads like a rule.
impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
