use chaski_core::BoxError;

use crate::{CipherSuite, Group};

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Certificates are to be verified, and there is no root to verify them by.
    #[error("no root certificate is trusted, so that no peer would ever be")]
    NoRoots,
    /// The name of an application protocol has no byte, or more than 255 (RFC 7301 section 3.1).
    #[error("`{0}` cannot be the name of an application protocol")]
    ApplicationProtocol(String),
    /// The cipher suite is unknown, or not in what this program was built with.
    #[error("there is no cipher suite {0} here")]
    CipherSuite(CipherSuite),
    /// The group is unknown, or not in what this program was built with: `ring` has no post-quantum one.
    #[error("there is no key exchange group {0} here")]
    Group(Group),
    /// The library refuses the settings.
    #[error("the settings of TLS do not fit together")]
    Library(#[source] BoxError),
}
