use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::error::{AddressParseErrorKind as Kind, AddressPart, Fault, Parsed};

/// A DNS name that can be looked up: checked, lower-cased, cheap to clone.
///
/// At most 253 bytes of labels of 1 to 63 bytes, made of letters, digits, `-` (neither first
/// nor last in a label) and `_` (which host names may not have by RFC 952, but names in use
/// do). With the feature `idna` a non-ASCII name is taken too, in its A-label form (UTS 46,
/// non-transitional). The last label is never a number: `127.1`, `0x7f.1` and the like are
/// IPv4 addresses to some programs, and a name that a filter takes for a domain and a resolver
/// for an address is a hole in the filter.
///
/// A trailing dot makes a name *absolute*: the resolver then applies no search list. It shows in
/// `Display` and counts in `==`, since `host` and `host.` may be two machines and must not share
/// a pooled connection. [`as_str`](Self::as_str) never has the dot, because neither `Host`
/// nor SNI carries it (RFC 6066 section 3); [`is_subdomain_of`](Self::is_subdomain_of) ignores it.
///
/// ```
/// use chaski_core::Domain;
///
/// let name: Domain = "API.Example.com.".parse()?;
/// assert_eq!(name.as_str(), "api.example.com");
/// assert_eq!(name.to_string(), "api.example.com.");
/// assert!(name.is_absolute());
///
/// const PARENT: Domain = Domain::from_static("example.com");
/// assert!(name.is_subdomain_of(&PARENT));
/// assert!("127.1".parse::<Domain>().is_err());
/// # Ok::<(), chaski_core::AddressParseError>(())
/// ```
#[derive(Clone)]
pub struct Domain(Text);

/// The name with its trailing dot, if it has one.
#[derive(Clone)]
enum Text {
    Static(&'static str),
    Shared(Arc<str>),
}

impl Domain {
    /// The most bytes a name may have, trailing dot not counted (RFC 1035 section 2.3.4: 255
    /// octets on the wire, two of which are the first length and the root).
    pub const MAX_LEN: usize = 253;

    /// The most bytes a label may have (RFC 1035 section 2.3.4).
    pub const MAX_LABEL_LEN: usize = 63;

    /// A name known when the program is written; allocates nothing.
    ///
    /// # Panics
    ///
    /// When `name` is not a domain in lower case; in a `const`, the build fails instead.
    #[expect(clippy::panic, reason = "the argument is a literal in the program, never input")]
    pub const fn from_static(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            assert!(!bytes[at].is_ascii_uppercase(), "the name is not lower case");
            at += 1;
        }
        match validate(bytes) {
            Ok(()) => Self(Text::Static(name)),
            Err(_) => panic!("not a valid domain name"),
        }
    }

    /// The name in lower case, without a trailing dot.
    pub fn as_str(&self) -> &str {
        let text = self.text();
        text.strip_suffix('.').unwrap_or(text)
    }

    /// Whether the name was written with a trailing dot, which keeps search lists out of its
    /// lookup.
    pub fn is_absolute(&self) -> bool {
        self.text().ends_with('.')
    }

    /// Whether this name is `parent` or lies below it, label by label: `a.example.com` and
    /// `example.com` are subdomains of `example.com`, `badexample.com` is not.
    pub fn is_subdomain_of(&self, parent: &Domain) -> bool {
        self.as_str().strip_suffix(parent.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    pub(super) fn parse(text: &str) -> Parsed<Self> {
        if let Some((at, character)) = text.char_indices().find(|(_, c)| !c.is_ascii()) {
            return Self::parse_international(text, at, character);
        }
        validate(text.as_bytes())?;
        let mut name: Arc<str> = text.into();
        // Not shared yet, so this is always the case; it spares a second buffer.
        if let Some(name) = Arc::get_mut(&mut name) {
            name.make_ascii_lowercase();
        }
        Ok(Self(Text::Shared(name)))
    }

    #[cfg(not(feature = "idna"))]
    fn parse_international(_: &str, at: usize, character: char) -> Parsed<Self> {
        Err(Fault::new(Kind::NonAscii(character), at))
    }

    #[cfg(feature = "idna")]
    fn parse_international(text: &str, at: usize, _: char) -> Parsed<Self> {
        use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

        // Four bytes of UTF-8 for each byte of the longest name: what exceeds that could fit
        // only by characters that UTS 46 deletes, and it is not asked to chew on those.
        if text.len() > 4 * Self::MAX_LEN {
            let at = text.floor_char_boundary(Self::MAX_LEN);
            return Err(Fault::new(Kind::NameTooLong, at));
        }
        // Plain mistakes are pointed at here: UTS 46 does not say where it stumbled.
        let invalid = |(_, c): &(usize, char)| c.is_ascii() && *c != '.' && !is_name_byte(*c as u8);
        if let Some((at, character)) = text.char_indices().find(invalid) {
            let kind = Kind::InvalidCharacter(character, AddressPart::Domain);
            return Err(Fault::new(kind, at));
        }
        let fault = Fault::new(Kind::InvalidInternational, at);
        // The mapping can make any ASCII out of full-width forms (dots, digits, `%`), so its
        // result passes the same checks as a name that was ASCII from the start.
        let ascii = Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::CheckFirstLast, DnsLength::Ignore)
            .map_err(|_| fault)?;
        validate(ascii.as_bytes()).map_err(|_| fault)?;
        Ok(Self(Text::Shared(ascii.into())))
    }

    fn text(&self) -> &str {
        match &self.0 {
            Text::Static(text) => text,
            Text::Shared(text) => text,
        }
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text().cmp(other.text())
    }
}

/// With the trailing dot of an absolute name, as it was written.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// Checks an ASCII name in either case; const, so that `from_static` has the same rules.
const fn validate(text: &[u8]) -> Parsed<()> {
    let end = match text {
        [] => return Err(Fault::new(Kind::Empty(AddressPart::Domain), 0)),
        [.., b'.'] => text.len() - 1,
        _ => text.len(),
    };
    if end > Domain::MAX_LEN {
        return Err(Fault::new(Kind::NameTooLong, Domain::MAX_LEN));
    }
    let mut label = 0;
    let mut at = 0;
    loop {
        if at == end || text[at] == b'.' {
            if at == label {
                return Err(Fault::new(Kind::LabelEmpty, at));
            }
            if text[at - 1] == b'-' {
                return Err(Fault::new(Kind::LabelEndsWithHyphen, at - 1));
            }
            if at == end {
                break;
            }
            label = at + 1;
        } else if !is_name_byte(text[at]) {
            let kind = Kind::InvalidCharacter(text[at] as char, AddressPart::Domain);
            return Err(Fault::new(kind, at));
        } else if at == label && text[at] == b'-' {
            return Err(Fault::new(Kind::LabelStartsWithHyphen, at));
        } else if at == label + Domain::MAX_LABEL_LEN {
            return Err(Fault::new(Kind::LabelTooLong, at));
        }
        at += 1;
    }
    if is_number(text.split_at(end).0.split_at(label).1) {
        return Err(Fault::new(Kind::EndsInNumber, label));
    }
    Ok(())
}

const fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Whether an IPv4 parser of the `inet_aton` family would take this label for a number (WHATWG
/// URL, "ends in a number checker"): decimal, octal, or hexadecimal, where `0x` alone is zero.
pub(super) const fn is_number(label: &[u8]) -> bool {
    let (mut digits, hex) = match label {
        [b'0', b'x' | b'X', digits @ ..] => (digits, true),
        _ => (label, false),
    };
    while let [digit, rest @ ..] = digits {
        if !(digit.is_ascii_digit() || hex && digit.is_ascii_hexdigit()) {
            return false;
        }
        digits = rest;
    }
    true
}
