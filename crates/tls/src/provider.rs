//! Where the cryptography comes from.

use std::sync::{Arc, OnceLock};

use rustls::{
    Error,
    crypto::{self, CryptoProvider},
    server::ProducesTickets,
};

use crate::{CipherSuite, ConfigError, Group};

/// aws-lc-rs where both are built in.
#[cfg(feature = "aws-lc-rs")]
use crypto::aws_lc_rs as library;
#[cfg(not(feature = "aws-lc-rs"))]
use crypto::ring as library;

/// One for all configurations: the process's default, which others may set, is never asked.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(library::default_provider()))
}

/// With these suites and groups, in their order; all that are good where none are named.
pub(crate) fn provider_with(suites: &[CipherSuite], groups: &[Group]) -> Result<Arc<CryptoProvider>, ConfigError> {
    if suites.is_empty() && groups.is_empty() {
        return Ok(Arc::clone(provider()));
    }
    let mut chosen = CryptoProvider::clone(provider());
    if !suites.is_empty() {
        let find = |suite: &CipherSuite| {
            let found = library::ALL_CIPHER_SUITES.iter().find(|known| u16::from(known.suite()) == suite.code());
            found.copied().ok_or(ConfigError::CipherSuite(*suite))
        };
        chosen.cipher_suites = suites.iter().map(find).collect::<Result<_, _>>()?;
    }
    if !groups.is_empty() {
        let find = |group: &Group| {
            let found = library::ALL_KX_GROUPS.iter().find(|known| u16::from(known.name()) == group.code());
            found.copied().ok_or(ConfigError::Group(*group))
        };
        chosen.kx_groups = groups.iter().map(find).collect::<Result<_, _>>()?;
    }
    Ok(Arc::new(chosen))
}

/// Encrypts session tickets, with keys that change every six hours.
pub(crate) fn ticketer() -> Result<Arc<dyn ProducesTickets>, Error> {
    library::Ticketer::new()
}
