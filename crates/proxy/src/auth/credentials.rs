use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::CredentialsError;

/// A user's name and password. Parses from `NAME:PASSWORD`; neither `Debug` nor any error shows the password.
///
/// Names and passwords are compared byte by byte, in UTF-8: the same letter written in two ways of Unicode is two.
///
/// ```
/// use chaski_proxy::Credentials;
///
/// let ana: Credentials = "ana:se:cret".parse()?;
/// assert_eq!(ana.name(), "ana");
/// assert!(!format!("{ana:?}").contains("cret"));
/// # Ok::<(), chaski_proxy::CredentialsError>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    pub(super) name: Arc<str>,
    pub(super) secret: Padded,
}

impl Credentials {
    /// The most bytes that name, colon and password may have together. Every comparison takes the time of that many.
    pub const MAX_LEN: usize = 256;

    /// From a name and a password.
    ///
    /// # Errors
    ///
    /// See [`CredentialsError`].
    pub fn new(name: &str, password: &str) -> Result<Self, CredentialsError> {
        // RFC 7617 section 2: the first colon ends the name.
        if name.contains(':') {
            return Err(CredentialsError::ColonInName);
        }
        if name.is_empty() {
            return Err(CredentialsError::EmptyName);
        }
        if password.is_empty() {
            return Err(CredentialsError::EmptyPassword);
        }
        if name.chars().chain(password.chars()).any(char::is_control) {
            return Err(CredentialsError::ControlCharacter);
        }
        let secret = Padded::new(format!("{name}:{password}").as_bytes());
        let secret = secret.ok_or(CredentialsError::TooLong { max: Self::MAX_LEN })?;
        Ok(Self { name: name.into(), secret })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As a field says them (RFC 7617 section 2), marked as sensitive.
    #[expect(clippy::expect_used, reason = "base64 is visible ASCII, which a field's value may have")]
    pub(crate) fn to_basic(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(self.secret.text())));
        let mut value = HeaderValue::try_from(&**text).expect("base64 is a value of a field");
        value.set_sensitive(true);
        value
    }
}

impl FromStr for Credentials {
    type Err = CredentialsError;

    fn from_str(text: &str) -> Result<Self, CredentialsError> {
        let (name, password) = text.split_once(':').ok_or(CredentialsError::MissingColon)?;
        Self::new(name, password)
    }
}

// By hand: a password is not for logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("name", &self.name).field("password", &"..").finish()
    }
}

/// Bytes beside their length, filled up with zeros, so that two are compared in a time that depends on neither.
#[derive(Clone)]
pub(super) struct Padded {
    bytes: [u8; Credentials::MAX_LEN],
    len: u64,
}

impl Padded {
    pub(super) fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Credentials::MAX_LEN];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() as u64 })
    }

    fn text(&self) -> &[u8] {
        // Its length fitted when it was made.
        &self.bytes[..self.len as usize]
    }
}

impl ConstantTimeEq for Padded {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.bytes.ct_eq(&other.bytes) & self.len.ct_eq(&other.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_checked_when_they_are_made() {
        let parse = |text: &str| text.parse::<Credentials>().map(|user| user.name().to_owned());
        assert_eq!(parse("ana:se:cret"), Ok("ana".to_owned()));
        assert_eq!(parse("ana"), Err(CredentialsError::MissingColon));
        assert_eq!(parse(""), Err(CredentialsError::MissingColon));
        assert_eq!(parse(":secret"), Err(CredentialsError::EmptyName));
        assert_eq!(parse("ana:"), Err(CredentialsError::EmptyPassword));
        assert_eq!(parse("ana:secret\n"), Err(CredentialsError::ControlCharacter));
        assert_eq!(parse("a\u{7f}na:secret"), Err(CredentialsError::ControlCharacter));
        assert_eq!(parse(&format!("ana:{}", "x".repeat(252))), Ok("ana".to_owned()));
        assert_eq!(parse(&format!("ana:{}", "x".repeat(253))), Err(CredentialsError::TooLong { max: 256 }));
        assert_eq!(Credentials::new("a:b", "c").unwrap_err(), CredentialsError::ColonInName);
    }
}
