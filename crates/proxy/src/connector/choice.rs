use std::{fmt, str::FromStr};

use chaski_core::{AddressParseError, HostPort, Protocol};
use http::HeaderValue;
use percent_encoding::percent_decode_str;

use crate::{Credentials, CredentialsError};

/// The HTTP proxy that a dial goes through: a choice of a [`Route`](chaski_core::Route).
///
/// Parses from `http://[NAME:PASSWORD@]HOST[:PORT]` or `https://..`, for a proxy that is spoken to over TLS; without a port it
/// is 80 or 443. Name and password may be percent-encoded. `Debug` and `Display` do not show the password.
///
/// ```
/// use chaski_core::Route;
/// use chaski_proxy::HttpProxy;
///
/// let proxy: HttpProxy = "http://ana:se%40cret@proxy.example:3128".parse()?;
/// assert_eq!(proxy.address().to_string(), "proxy.example:3128");
/// assert!(!format!("{proxy:?} {proxy}").contains("cret"));
/// let route = Route::default().with(proxy);
/// # assert!(!route.is_default());
/// # Ok::<(), chaski_proxy::HttpProxyParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpProxy {
    address: HostPort,
    secure: bool,
    /// The field's value, marked as sensitive.
    authorization: Option<HeaderValue>,
}

impl HttpProxy {
    /// A proxy that is spoken to in clear.
    #[must_use]
    pub const fn new(address: HostPort) -> Self {
        Self { address, secure: false, authorization: None }
    }

    /// Speaks to the proxy over TLS.
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.secure = true;
        self
    }

    /// Says to the proxy, and to nobody else, who asks (RFC 7617).
    #[must_use]
    pub fn with_credentials(mut self, credentials: &Credentials) -> Self {
        self.authorization = Some(credentials.to_basic());
        self
    }

    /// Where the proxy is.
    #[must_use]
    pub const fn address(&self) -> &HostPort {
        &self.address
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    pub(super) const fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

impl FromStr for HttpProxy {
    type Err = HttpProxyParseError;

    fn from_str(text: &str) -> Result<Self, HttpProxyParseError> {
        let (scheme, rest) = text.split_once("://").ok_or(HttpProxyParseError::Scheme)?;
        let protocol = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Protocol::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Protocol::Https,
            _ => return Err(HttpProxyParseError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#']) {
            return Err(HttpProxyParseError::Path);
        }
        let (user, address) = rest.rsplit_once('@').map_or((None, rest), |(user, address)| (Some(user), address));
        let port = protocol.default_port().unwrap_or_default();
        let address = HostPort::parse_with_default_port(address, port)?;
        let proxy = Self { address, secure: protocol.is_secure(), authorization: None };
        let Some(user) = user else { return Ok(proxy) };
        // Parted before they are decoded: a colon of the password may be encoded, and one of the name has to be refused.
        let (name, password) = user.split_once(':').ok_or(CredentialsError::MissingColon)?;
        let (name, password) = (decoded(name)?, decoded(password)?);
        Ok(proxy.with_credentials(&Credentials::new(&name, &password)?))
    }
}

fn decoded(text: &str) -> Result<String, HttpProxyParseError> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| HttpProxyParseError::Encoding)?;
    Ok(decoded.into_owned())
}

impl fmt::Display for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.address)
    }
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProxy")
            .field("address", &self.address)
            .field("secure", &self.secure)
            .field("credentials", &self.authorization.as_ref().map(|_| ".."))
            .finish()
    }
}

/// Why a text is no [`HttpProxy`]. Never quotes the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpProxyParseError {
    /// It begins with neither of the two schemes.
    #[error("a proxy is http://HOST:PORT or https://HOST:PORT")]
    Scheme,
    /// There is something behind host and port.
    #[error("a proxy has no path, query or fragment")]
    Path,
    /// Host and port are none.
    #[error("the proxy's address")]
    Address(#[from] AddressParseError),
    /// Name and password are none.
    #[error("the proxy's credentials")]
    Credentials(#[from] CredentialsError),
    /// What is percent-encoded is not UTF-8.
    #[error("the proxy's credentials are not UTF-8 when percent-decoded")]
    Encoding,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_from_its_url() {
        for (text, address, secure, authorization) in [
            ("http://proxy.example", "proxy.example:80", false, None),
            ("HTTPS://proxy.example/", "proxy.example:443", true, None),
            ("http://[::1]:3128", "[::1]:3128", false, None),
            // printf %s 'ana:s:p@c e' | base64
            ("https://ana:s:p%40c%20e@10.0.0.1:8443", "10.0.0.1:8443", true, Some("Basic YW5hOnM6cEBjIGU=")),
            ("http://ana:p@ss@h:1", "h:1", false, Some("Basic YW5hOnBAc3M=")),
        ] {
            let proxy: HttpProxy = text.parse().unwrap();
            assert_eq!((proxy.address().to_string().as_str(), proxy.is_secure()), (address, secure), "{text}");
            assert_eq!(proxy.authorization().map(|value| value.to_str().unwrap()), authorization, "{text}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_not_quoted() {
        for (text, error) in [
            ("proxy.example:3128", HttpProxyParseError::Scheme),
            ("socks5://proxy.example", HttpProxyParseError::Scheme),
            ("http://proxy.example/path", HttpProxyParseError::Path),
            ("http://proxy.example?x", HttpProxyParseError::Path),
            ("http://ana@h", CredentialsError::MissingColon.into()),
            ("http://a%3Ana:x@h", CredentialsError::ColonInName.into()),
            ("http://ana:x%0a@h", CredentialsError::ControlCharacter.into()),
            ("http://ana:%ff@h", HttpProxyParseError::Encoding),
        ] {
            assert_eq!(text.parse::<HttpProxy>(), Err(error), "{text}");
        }
        for text in ["http://", "http://h:x", "http://::1"] {
            assert!(matches!(text.parse::<HttpProxy>(), Err(HttpProxyParseError::Address(_))), "{text}");
        }
    }

    #[test]
    fn the_password_is_never_printed() {
        let proxy: HttpProxy = "http://ana:secret@h:1".parse().unwrap();
        let printed = format!("{proxy} {proxy:?} {:?}", proxy.authorization());
        assert!(!printed.contains("secret") && !printed.contains("YW5h"), "{printed}");
    }
}
