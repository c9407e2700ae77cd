use chaski_core::BoxError;

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
    /// The library refuses the settings.
    #[error("the settings of TLS do not fit together")]
    Library(#[source] BoxError),
}
