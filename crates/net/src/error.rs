//! What goes wrong where connections come from. How a dial fails is told by [`chaski_core::ConnectError`].

use std::io;

use chaski_core::Domain;

use crate::IpFamily;

/// A listener could not be made: the fault of the configuration, or of whoever holds the address already.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}")]
#[non_exhaustive]
pub struct BindError {
    /// The address as it was asked for; of several that a name resolved to, the last one.
    pub addr: String,
    /// Why not.
    pub source: io::Error,
}

/// A name could not be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name exists, but has no address of a family that may be dialed.
    #[error("{domain} has no {family} address")]
    NoAddresses {
        /// The name.
        domain: Domain,
        /// The family that was asked for.
        family: IpFamily,
    },
    /// The system's resolver failed. It does not tell apart a name that does not exist and a server that does not answer.
    #[error("the system's resolver failed for {domain}")]
    System {
        /// The name.
        domain: Domain,
        /// Its error.
        source: io::Error,
    },
}
