//! Where the cryptography comes from.

use std::sync::{Arc, OnceLock};

use rustls::{
    Error,
    crypto::{self, CryptoProvider},
    server::ProducesTickets,
};

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

/// Encrypts session tickets, with keys that change every six hours.
pub(crate) fn ticketer() -> Result<Arc<dyn ProducesTickets>, Error> {
    library::Ticketer::new()
}
