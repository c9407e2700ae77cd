use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use super::x509;

/// The SHA-256 of a public key (`SubjectPublicKeyInfo`, RFC 7469 section 2.4), by which a server is known whatever certificate
/// it has for that key.
///
/// In text it is what curl takes: `sha256//` and base64.
///
/// ```
/// use chaski_tls::SpkiPin;
///
/// let pin: SpkiPin = "sha256//YhKJKSzoTt2b5FP18fvpHo7fJYqQCjAa3HWY3tvRMwE=".parse()?;
/// assert_eq!(pin.to_string(), "sha256//YhKJKSzoTt2b5FP18fvpHo7fJYqQCjAa3HWY3tvRMwE=");
/// # Ok::<(), chaski_tls::PinParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpkiPin([u8; 32]);

impl SpkiPin {
    const PREFIX: &str = "sha256//";

    /// The pin of this hash.
    #[must_use]
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// The pin of a certificate's key; `None` when that is no certificate. It is given in DER.
    #[must_use]
    pub fn of_certificate(certificate: &[u8]) -> Option<Self> {
        x509::public_key(certificate).map(|key| Self(Sha256::digest(key).into()))
    }

    /// The hash.
    #[must_use]
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, BASE64_STANDARD.encode(self.0))
    }
}

impl fmt::Debug for SpkiPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpkiPin({self})")
    }
}

impl FromStr for SpkiPin {
    type Err = PinParseError;

    fn from_str(text: &str) -> Result<Self, PinParseError> {
        let hash = text.strip_prefix(Self::PREFIX).and_then(|base64| BASE64_STANDARD.decode(base64).ok());
        hash.and_then(|hash| hash.try_into().ok()).map(Self).ok_or(PinParseError)
    }
}

/// The text is no [`SpkiPin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pin is `sha256//` and the base64 of 32 bytes")]
pub struct PinParseError;
