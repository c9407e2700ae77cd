//! Settings of both sides, and what they are compiled into, once for all connections.

mod client;
mod error;
mod server;

pub use client::ClientConfig;
pub(crate) use client::CompiledClient;
pub use error::ConfigError;
pub(crate) use server::{Base, CompiledServer, Source};
pub use server::{ClientAuth, ServerConfig};

use rustls::{SupportedProtocolVersion, version};

use crate::TlsVersion;

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsVersions {
    /// The better one that the peer speaks too.
    #[default]
    Tls12And13,
    /// TLS 1.2 alone.
    Tls12Only,
    /// TLS 1.3 alone.
    Tls13Only,
}

impl TlsVersions {
    fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];
        match self {
            Self::Tls12And13 => BOTH,
            Self::Tls12Only => &BOTH[..1],
            Self::Tls13Only => &BOTH[1..],
        }
    }
}

impl From<TlsVersion> for TlsVersions {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::Tls12 => Self::Tls12Only,
            TlsVersion::Tls13 => Self::Tls13Only,
        }
    }
}

/// Names of application protocols as they go into a hello: RFC 7301 section 3.1.
fn alpn(names: impl IntoIterator<Item: AsRef<[u8]>>) -> Vec<Vec<u8>> {
    names.into_iter().map(|name| name.as_ref().to_vec()).collect()
}

/// Refuses names that cannot stand in a hello.
fn check_alpn(names: &[Vec<u8>]) -> Result<(), ConfigError> {
    match names.iter().find(|name| !(1..=255).contains(&name.len())) {
        Some(name) => Err(ConfigError::ApplicationProtocol(String::from_utf8_lossy(name).into_owned())),
        None => Ok(()),
    }
}
