use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    str::FromStr,
};

use http::{HeaderMap, HeaderValue, Version, header};

use crate::PseudonymError;

/// The name under which a proxy enters itself into Via (RFC 9110 section 7.6.3), by which it knows its own requests when
/// they come back.
///
/// It stands for the proxy's host name, which the client and the origin need not know. The default,
/// [`random`](Self::random), is another one for each instance. A name that is chosen must be so too: of two proxies with
/// one name in a chain, the second takes the first one's requests for its own.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pseudonym(Box<str>);

impl Pseudonym {
    /// The most bytes of a pseudonym: it travels with every message.
    pub const MAX_LEN: usize = 64;

    /// `chaski-` and 64 bits that hardly any other instance has. They are no secret.
    #[must_use]
    pub fn random() -> Self {
        // The standard library seeds its hash maps from the system's source of randomness: enough to be unique, and one
        // dependency less.
        let bits = RandomState::new().build_hasher().finish();
        Self(format!("chaski-{bits:016x}").into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Pseudonym {
    fn default() -> Self {
        Self::random()
    }
}

impl FromStr for Pseudonym {
    type Err = PseudonymError;

    fn from_str(text: &str) -> Result<Self, PseudonymError> {
        if text.is_empty() {
            return Err(PseudonymError::Empty);
        }
        if text.len() > Self::MAX_LEN {
            return Err(PseudonymError::TooLong { max: Self::MAX_LEN });
        }
        match text.bytes().position(|byte| !is_token_byte(byte)) {
            Some(position) => Err(PseudonymError::NotAToken { position }),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonym({})", self.0)
    }
}

/// RFC 9110 section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// One proxy's entries in Via, written once and shared by all messages.
#[derive(Clone, Debug)]
pub(crate) struct Via {
    pseudonym: Pseudonym,
    http10: Option<HeaderValue>,
    http11: Option<HeaderValue>,
}

impl Via {
    pub(crate) fn new(pseudonym: Pseudonym) -> Self {
        let entry = |version| entry(version, &pseudonym);
        let (http10, http11) = (entry("1.0"), entry("1.1"));
        Self { pseudonym, http10, http11 }
    }

    pub(crate) fn pseudonym(&self) -> &Pseudonym {
        &self.pseudonym
    }

    /// Adds this proxy behind those before it, with the version that the message was received in. On a line of its own:
    /// the lines of a field are one list (RFC 9110 section 5.3).
    pub(crate) fn append(&self, received: Version, headers: &mut HeaderMap) {
        let entry = match received {
            Version::HTTP_11 => self.http11.clone(),
            Version::HTTP_10 => self.http10.clone(),
            // The protocol is left out where it is HTTP, and the minor version where there is none.
            Version::HTTP_2 => entry("2", &self.pseudonym),
            Version::HTTP_3 => entry("3", &self.pseudonym),
            _ => entry("0.9", &self.pseudonym),
        };
        if let Some(entry) = entry {
            headers.append(header::VIA, entry);
        }
    }

    /// Whether a message with these fields has passed this proxy.
    pub(crate) fn has_passed(&self, headers: &HeaderMap) -> bool {
        let own = self.pseudonym.as_str().as_bytes();
        headers.get_all(header::VIA).iter().any(|value| names(value.as_bytes(), own))
    }
}

/// `received-protocol RWS received-by`. Never `None`, as a pseudonym is a token; but nothing here should panic.
fn entry(version: &str, pseudonym: &Pseudonym) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{version} {pseudonym}")).ok()
}

/// Whether a line of Via has `received_by` in one of its entries: `received-protocol RWS received-by [RWS comment]`.
/// Names of hosts have no case, and an intermediary may have changed it.
fn names(line: &[u8], received_by: &[u8]) -> bool {
    let mut rest = line;
    loop {
        let (entry, more) = split_entry(rest);
        let mut words = entry.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
        if words.nth(1).is_some_and(|word| word.eq_ignore_ascii_case(received_by)) {
            return true;
        }
        match more {
            Some(more) => rest = more,
            None => return false,
        }
    }
}

/// The first entry up to its comment, and what follows the comma behind it. A comma in a comment parts nothing (RFC 9110
/// section 5.6.5: comments nest, and a backslash quotes).
fn split_entry(list: &[u8]) -> (&[u8], Option<&[u8]>) {
    let (mut depth, mut quoted, mut end) = (0_usize, false, None);
    for (at, byte) in list.iter().enumerate() {
        match byte {
            _ if quoted => quoted = false,
            b'\\' if depth > 0 => quoted = true,
            b'(' => {
                depth += 1;
                end = end.or(Some(at));
            }
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return (&list[..end.unwrap_or(at)], Some(&list[at + 1..])),
            _ => {}
        }
    }
    (&list[..end.unwrap_or(list.len())], None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(name: &str) -> Via {
        Via::new(name.parse().unwrap())
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (header::VIA, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn a_pseudonym_is_a_token() {
        let parse = |text: &str| text.parse::<Pseudonym>().map(|name| name.to_string());
        assert_eq!(parse("edge-1.example"), Ok("edge-1.example".to_owned()));
        assert_eq!(parse(""), Err(PseudonymError::Empty));
        assert_eq!(parse("edge 1"), Err(PseudonymError::NotAToken { position: 4 }));
        assert_eq!(parse("a,b"), Err(PseudonymError::NotAToken { position: 1 }));
        assert_eq!(parse(&"a".repeat(65)), Err(PseudonymError::TooLong { max: 64 }));
    }

    #[test]
    fn random_pseudonyms_differ_and_are_tokens() {
        let (a, b) = (Pseudonym::random(), Pseudonym::random());
        assert_ne!(a, b);
        assert_eq!(a.as_str().parse(), Ok(a.clone()));
    }

    #[test]
    fn an_entry_has_the_version_that_was_received() {
        let mut fields = headers(&["1.0 first"]);
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            via("me").append(version, &mut fields);
        }
        let lines: Vec<_> = fields.get_all(header::VIA).iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines, ["1.0 first", "1.0 me", "1.1 me", "2 me"]);
    }

    /// PRX-11: the own name is found wherever Via may have it, and nowhere else.
    #[test]
    fn prx_11_an_own_entry_is_found_in_any_form_of_via() {
        let cases: [(&[&str], bool); 16] = [
            (&["1.1 me"], true),
            (&["1.0 a, 1.1 me"], true),
            (&["1.1 a", "HTTP/1.1 me"], true),
            (&["1.1 ME (chaski)"], true),
            (&["1.1\tme(x)"], true),
            (&["1.1  me,1.1 b"], true),
            (&["1.1 a (b, (c), \\), d), 1.1 me"], true),
            (&[], false),
            (&[""], false),
            (&["me"], false),
            (&["me 1.1"], false),
            (&["1.1 me2, 1.1 not-me"], false),
            (&["1.1 a (1.1 me)"], false),
            (&["1.1 a (x, 1.1 me"], false),
            (&["1.1 a (x \\), 1.1 me)"], false),
            (&["1.1 a (x \\), 1.1 me (y))"], false),
        ];
        for (lines, expected) in cases {
            assert_eq!(via("me").has_passed(&headers(lines)), expected, "{lines:?}");
        }
    }
}
