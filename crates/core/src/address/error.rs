use std::fmt;

/// How many bytes of a refused text an error quotes.
const EXCERPT: usize = 64;

/// Why a text is not an address, and at which byte it went wrong.
///
/// `Display` is fit for a log line and for a user: it names the fault, points at the character
/// and quotes the text, or 64 bytes around the character when the text is longer. Control and
/// other unprintable characters are escaped, so that a hostile name cannot forge log lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {position} of \"{excerpt}\"")]
pub struct AddressParseError {
    kind: AddressParseErrorKind,
    position: usize,
    excerpt: Box<str>,
}

impl AddressParseError {
    /// What was wrong.
    pub fn kind(&self) -> AddressParseErrorKind {
        self.kind
    }

    /// The byte offset, in the text that was given, of the character at fault; the length of
    /// the text when something is missing at its end.
    pub fn position(&self) -> usize {
        self.position
    }
}

/// What is wrong with a text that is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressParseErrorKind {
    /// A part that has to be there has no characters.
    #[error("empty {0}")]
    Empty(AddressPart),
    /// A character that this part of an address never holds.
    #[error("invalid character {0:?} in {1}")]
    InvalidCharacter(char, AddressPart),
    /// A non-ASCII name, in a build that cannot convert it.
    #[error("non-ASCII character {0:?} in domain, which needs the feature `idna`,")]
    NonAscii(char),
    /// A non-ASCII name that UTS 46 refuses, or maps to something that is not a name.
    #[error("internationalized domain that UTS 46 does not map to a name")]
    InvalidInternational,
    /// Two dots in a row, or one at the start.
    #[error("empty label in domain")]
    LabelEmpty,
    /// A label of more than 63 bytes (RFC 1035 section 2.3.4).
    #[error("label of more than 63 bytes in domain")]
    LabelTooLong,
    /// A label that starts with `-` (RFC 1123 section 2.1).
    #[error("label that starts with '-' in domain")]
    LabelStartsWithHyphen,
    /// A label that ends with `-` (RFC 1123 section 2.1).
    #[error("label that ends with '-' in domain")]
    LabelEndsWithHyphen,
    /// A name of more than 253 bytes (RFC 1035 section 2.3.4).
    #[error("domain of more than 253 bytes")]
    NameTooLong,
    /// The last label is a number, as of an IPv4 address; some programs would read it as one.
    #[error("number as last label, which no domain may have,")]
    EndsInNumber,
    /// Numbers and dots that are not four decimal numbers of 0 to 255 without leading zeros.
    #[error("invalid IPv4 address (not four decimal numbers of 0 to 255)")]
    InvalidIpv4,
    /// The characters of an IPv6 address, but not the form of one.
    #[error("invalid IPv6 address")]
    InvalidIpv6,
    /// A `[` without its `]`.
    #[error("unclosed bracket")]
    UnclosedBracket,
    /// Something other than a port follows the `]`.
    #[error("unexpected text after the bracket")]
    TextAfterBracket,
    /// An IPv6 address outside brackets, where its last group could be taken for a port.
    #[error("IPv6 address that needs brackets before a port")]
    UnbracketedIpv6,
    /// A zone of more than 15 bytes.
    #[error("zone of more than 15 bytes")]
    ZoneTooLong,
    /// A zone on an address whose scope is not the link (RFC 4007 section 11).
    #[error("zone on an address that is not link-local")]
    ZoneNotAllowed,
    /// No port, where there is no default.
    #[error("missing port")]
    PortMissing,
    /// A port of more than 65535.
    #[error("port of more than 65535")]
    PortOutOfRange,
}

/// The part of an address that an error is about; prints as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressPart {
    /// A host: a name or an IP address.
    Host,
    /// A DNS name.
    Domain,
    /// An IPv6 address.
    Ipv6,
    /// The zone of an IPv6 address, after `%`.
    Zone,
    /// A port number.
    Port,
}

impl fmt::Display for AddressPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Domain => "domain",
            Self::Ipv6 => "IPv6 address",
            Self::Zone => "zone",
            Self::Port => "port",
        })
    }
}

/// What a parser of one part returns: `at` counts from the start of that part.
pub(super) type Parsed<T> = Result<T, Fault>;

/// An error before it knows the whole text around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: AddressParseErrorKind,
    pub(super) at: usize,
}

impl Fault {
    pub(super) const fn new(kind: AddressParseErrorKind, at: usize) -> Self {
        Self { kind, at }
    }

    /// The same fault, seen from a text in which this part starts at `start`.
    pub(super) fn from(self, start: usize) -> Self {
        Self::new(self.kind, self.at + start)
    }

    pub(super) fn within(self, text: &str) -> AddressParseError {
        AddressParseError { kind: self.kind, position: self.at, excerpt: excerpt(text, self.at) }
    }
}

/// `text` around the byte `at`, shortened and escaped now, so that an error that is kept does
/// not keep a megabyte of somebody's input.
fn excerpt(text: &str, at: usize) -> Box<str> {
    let from = match text.len() {
        0..=EXCERPT => 0,
        _ => text.floor_char_boundary(at.saturating_sub(EXCERPT / 2)),
    };
    let to = text.floor_char_boundary(from + EXCERPT);
    let before = if from > 0 { "..." } else { "" };
    let after = if to < text.len() { "..." } else { "" };
    format!("{before}{}{after}", text[from..to].escape_debug()).into()
}
