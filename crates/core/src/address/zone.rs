use std::fmt;

use super::error::{AddressParseErrorKind as Kind, AddressPart, Fault, Parsed};

/// The zone of a link-local IPv6 address: an interface, by name or by number (RFC 4007
/// section 11).
///
/// 1 to 15 bytes (the longest interface name on Linux) of printable ASCII but `%`, `/`, `:`,
/// `[` and `]`. It means something on this machine only and is never sent to a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zone {
    /// Zeros after the text, which has none itself: so the derived order is that of the texts.
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Zone {
    /// The most bytes a zone may have.
    pub const MAX_LEN: usize = 15;

    /// The zone as it was written, without the `%`.
    pub fn as_str(&self) -> &str {
        // Only ASCII ever gets in, so the empty string is never the answer.
        str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }

    /// The number of the interface, when the zone is one (`3`) rather than a name (`eth0`).
    pub fn index(&self) -> Option<u32> {
        // `u32` would take a leading `+`, which is a fine start for an interface name.
        let text = self.as_str();
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    }

    pub(super) fn parse(text: &str) -> Parsed<Self> {
        let invalid = |(_, c): &(usize, char)| !c.is_ascii_graphic() || matches!(c, '%' | '/' | ':' | '[' | ']');
        if text.is_empty() {
            return Err(Fault::new(Kind::Empty(AddressPart::Zone), 0));
        }
        if let Some((at, character)) = text.char_indices().find(invalid) {
            let kind = Kind::InvalidCharacter(character, AddressPart::Zone);
            return Err(Fault::new(kind, at));
        }
        let mut bytes = [0; Self::MAX_LEN];
        let Some(place) = bytes.get_mut(..text.len()) else {
            return Err(Fault::new(Kind::ZoneTooLong, Self::MAX_LEN));
        };
        place.copy_from_slice(text.as_bytes());
        Ok(Self { bytes, len: text.len() as u8 })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
