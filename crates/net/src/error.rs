//! What goes wrong where connections come from. How a dial fails is told by [`chaski_core::ConnectError`].

use std::{fmt, io};

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

/// A socket option was refused: by the kernel, or because this system has no such option. It stands in the [`io::Error`] of
/// whoever set it, with the kind of its source, and prints as `SO_MARK 7`.
#[derive(Debug, thiserror::Error)]
#[error("{option} {value}")]
#[non_exhaustive]
pub struct SocketOptionError {
    /// The option's name in the system's headers.
    pub option: &'static str,
    /// What it was to be set to.
    pub value: String,
    /// Why not.
    pub source: io::Error,
}

impl SocketOptionError {
    /// Names the option and the value in what came of setting it.
    pub(crate) fn told<T>(option: &'static str, value: impl fmt::Display, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|source| io::Error::new(source.kind(), Self { option, value: value.to_string(), source }))
    }
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
