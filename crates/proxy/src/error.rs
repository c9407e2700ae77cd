use chaski_core::AddressParseErrorKind;
use ipnet::IpNet;

/// How many bytes of a refused text an error quotes.
const EXCERPT: usize = 64;

/// Why a text is not a [`Rule`](crate::Rule) or [`TargetPattern`](crate::TargetPattern), and at which byte it went wrong.
///
/// `Display` names the fault, its place and the rule; unprintable characters are escaped, and a rule of more than 64
/// bytes is cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {position} of the rule \"{rule}\"")]
pub struct RuleError {
    kind: RuleErrorKind,
    position: usize,
    rule: Box<str>,
}

impl RuleError {
    pub(crate) fn new(kind: RuleErrorKind, position: usize, rule: &str) -> Self {
        let cut = rule.floor_char_boundary(EXCERPT);
        let rest = if cut < rule.len() { "..." } else { "" };
        Self { kind, position, rule: format!("{}{rest}", rule[..cut].escape_debug()).into() }
    }

    /// What was wrong.
    #[must_use]
    pub fn kind(&self) -> RuleErrorKind {
        self.kind
    }

    /// The byte offset of what is at fault; the length of the rule when something is missing at its end.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }
}

/// What is wrong with a text that is not a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleErrorKind {
    /// The host or address cannot be read.
    #[error("{0}")]
    Address(AddressParseErrorKind),
    /// The rule does not begin with what it does.
    #[error("neither 'allow' nor 'deny', with a space behind it,")]
    Action,
    /// There is no pattern.
    #[error("empty pattern")]
    Empty,
    /// What stands before the slash is no IP address.
    #[error("name in front of a prefix length, where only an IP address can be,")]
    NameWithPrefix,
    /// The prefix length is no number, or longer than the address.
    #[error("prefix length that is not a number of 0 to {max}")]
    PrefixLength {
        /// The length of such an address in bits.
        max: u8,
    },
    /// The address has bits behind its prefix: a typing error in one or the other.
    #[error("address with bits behind its prefix, where the network would be {network},")]
    HostBits {
        /// The network that the address lies in.
        network: IpNet,
    },
    /// The port is not a number of 1 to 65535.
    #[error("port that is not a number of 1 to 65535")]
    Port,
    /// The first port of a range is above the last.
    #[error("range of ports whose first is above its last")]
    PortRange,
    /// A `[` without its `]`.
    #[error("unclosed bracket")]
    UnclosedBracket,
    /// Something other than `:port` follows the `]`.
    #[error("unexpected text after the bracket")]
    TextAfterBracket,
    /// What stands in brackets is not IPv6.
    #[error("brackets around something that is not IPv6")]
    NotIpv6,
    /// An IPv6 network with a port and without brackets.
    #[error("IPv6 network that needs brackets around it before a port")]
    UnbracketedIpv6,
    /// A zone, which would make the rule depend on the names of interfaces.
    #[error("zone, which rules do not have,")]
    Zone,
    /// A `*` that is neither the whole host nor the first label of a name.
    #[error("'*' that is neither alone nor the first label of a name, as in *.example.com,")]
    Wildcard,
}

/// Why a text is not the [`Credentials`](crate::Credentials) of a user. Never quotes the text, which holds a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// No colon parts name and password.
    #[error("credentials are NAME:PASSWORD, and there is no colon")]
    MissingColon,
    /// Nothing stands before the colon.
    #[error("credentials are NAME:PASSWORD, and the name is empty")]
    EmptyName,
    /// Nothing stands behind the colon. RFC 7617 would allow it, but a password that is empty is one that was forgotten.
    #[error("credentials are NAME:PASSWORD, and the password is empty")]
    EmptyPassword,
    /// A control character (RFC 7617 section 2).
    #[error("credentials hold a control character")]
    ControlCharacter,
    /// A colon in the name (RFC 7617 section 2): only where name and password are given apart.
    #[error("the name holds a colon")]
    ColonInName,
    /// Name, colon and password have more than [`Credentials::MAX_LEN`](crate::Credentials::MAX_LEN) bytes.
    #[error("credentials have more than {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
}

/// Why a text is not a [`Pseudonym`](crate::Pseudonym).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PseudonymError {
    /// There is nothing.
    #[error("the pseudonym is empty")]
    Empty,
    /// A character that a token cannot hold (RFC 9110 section 5.6.2).
    #[error("the pseudonym is not a token: byte {position} is not allowed")]
    NotAToken {
        /// The byte offset of the character.
        position: usize,
    },
    /// More than [`Pseudonym::MAX_LEN`](crate::Pseudonym::MAX_LEN) bytes.
    #[error("the pseudonym has more than {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
}
