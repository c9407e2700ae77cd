//! The few fields of a certificate that are wanted here: whom it is for, in words, and its key.
//!
//! A reader of DER (X.690) of its own, because what is wanted is little, and wanted most of all of certificates that the
//! library refuses, also of those that it cannot read.

use std::fmt::Write;

/// Identifier octets (X.690 section 8.1.2).
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const EXPLICIT_VERSION: u8 = 0xa0;

/// The most bytes of one attribute that are shown: a name is at most 64 characters long (RFC 5280 appendix A.1).
const MAX_SHOWN: usize = 128;

/// The subject of a certificate in words, most specific part first as people read it: `CN=example.com, O=Example`.
/// Anything that is no printable text is escaped. `None` when it has none, or cannot be read.
pub(crate) fn subject(certificate: &[u8]) -> Option<String> {
    let mut relative_names = Fields::of(certificate)?.subject;
    let mut parts = Vec::new();
    while let Some((set, rest)) = relative_names.take(SET) {
        relative_names = rest;
        let (attribute, _) = set.take(SEQUENCE)?;
        let (kind, value) = attribute.take(OBJECT_IDENTIFIER)?;
        let (_, text, _) = value.any()?;
        parts.push(part(kind.0, text.0));
    }
    parts.reverse();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The public key of a certificate as it stands there: `SubjectPublicKeyInfo`, with its tag and length.
pub(crate) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    Fields::of(certificate).map(|fields| fields.public_key)
}

/// RFC 5280 section 4.1: what stands in a certificate in front of the extensions.
struct Fields<'a> {
    subject: Der<'a>,
    public_key: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(certificate: &'a [u8]) -> Option<Self> {
        let (certificate, _) = Der(certificate).take(SEQUENCE)?;
        let (to_be_signed, _) = certificate.take(SEQUENCE)?;
        let rest = to_be_signed.take(EXPLICIT_VERSION).map_or(to_be_signed, |(_, rest)| rest);
        // Serial number, signature algorithm, issuer, validity.
        let rest = rest.any()?.2.any()?.2.any()?.2.any()?.2;
        let (subject, rest) = rest.take(SEQUENCE)?;
        let (_, after) = rest.take(SEQUENCE)?;
        let public_key = &rest.0[..rest.0.len() - after.0.len()];
        Some(Self { subject, public_key })
    }
}

/// Values one after the other.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The first value if it has this tag, and what follows.
    fn take(self, tag: u8) -> Option<(Der<'a>, Der<'a>)> {
        self.any().filter(|(found, ..)| *found == tag).map(|(_, value, rest)| (value, rest))
    }

    /// The tag of the first value, the value, and what follows. The lengths of DER are definite, and of those of more than
    /// two bytes there are none in a certificate.
    fn any(self) -> Option<(u8, Der<'a>, Der<'a>)> {
        let (length, rest) = match *self.0 {
            [_, length @ 0..=0x7f, ref rest @ ..] => (usize::from(length), rest),
            [_, 0x81, length, ref rest @ ..] => (usize::from(length), rest),
            [_, 0x82, high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        Some((*self.0.first()?, Der(value), Der(rest)))
    }
}

fn part(kind: &[u8], text: &[u8]) -> String {
    // RFC 4519, and the address of PKCS #9.
    let mut shown = match kind {
        [0x55, 0x04, 3] => "CN=".to_owned(),
        [0x55, 0x04, 5] => "serialNumber=".to_owned(),
        [0x55, 0x04, 6] => "C=".to_owned(),
        [0x55, 0x04, 7] => "L=".to_owned(),
        [0x55, 0x04, 8] => "ST=".to_owned(),
        [0x55, 0x04, 10] => "O=".to_owned(),
        [0x55, 0x04, 11] => "OU=".to_owned(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress=".to_owned(),
        _ => "?=".to_owned(),
    };
    for character in String::from_utf8_lossy(&text[..text.len().min(MAX_SHOWN)]).chars() {
        // Whoever wrote the certificate is not trusted, and the text goes to logs.
        if character.is_control() {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            // RFC 4514 section 2.4, so that one name cannot look like two.
            shown.extend(matches!(character, ',' | '+' | '=' | '\\' | '"').then_some('\\'));
            shown.push(character);
        }
    }
    shown
}
