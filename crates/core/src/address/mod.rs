//! Addresses as people and peers write them: names, IP literals, zones, ports.
//!
//! Text becomes a checked value once, at the edge, and is never parsed again. What cannot be
//! read in exactly one way is refused: `127.1` is neither a name nor an address here, and
//! `::1:80` needs its brackets. Every refusal is an [`AddressParseError`] that points at the
//! offending character.
//!
//! ```
//! use chaski_core::{HostPort, IpClass};
//!
//! let target: HostPort = "[fe80::1%eth0]:8080".parse()?;
//! assert_eq!(target.port, 8080);
//! // A zone has meaning on this machine only, so no peer is told.
//! assert_eq!(target.uri().to_string(), "[fe80::1]:8080");
//! assert_eq!(target.host.ip().map(IpClass::of), Some(IpClass::LinkLocal));
//!
//! let error = "foo!bar:80".parse::<HostPort>().unwrap_err();
//! assert_eq!(error.position(), 3);
//! assert_eq!(error.to_string(), r#"invalid character '!' in domain at byte 3 of "foo!bar:80""#);
//! # Ok::<(), chaski_core::AddressParseError>(())
//! ```

mod class;
mod domain;
mod error;
mod host;
mod host_port;
mod zone;

#[cfg(test)]
mod tests;

pub use class::{IpClass, canonical_ip, embedded_ipv4};
pub use domain::Domain;
pub use error::{AddressParseError, AddressParseErrorKind, AddressPart};
pub use host::{Host, UriHost};
pub use host_port::{HostPort, UriHostPort};
pub use zone::Zone;

/// The traits that every textual address has, all made from its `parse` and its `Display`.
///
/// `Debug` prints the same text as `Display`: an address in a log line reads like an address.
macro_rules! textual {
    ($($address:ty),+) => {$(
        impl std::str::FromStr for $address {
            type Err = AddressParseError;

            fn from_str(text: &str) -> Result<Self, AddressParseError> {
                Self::parse(text).map_err(|fault| fault.within(text))
            }
        }

        impl TryFrom<&str> for $address {
            type Error = AddressParseError;

            fn try_from(text: &str) -> Result<Self, AddressParseError> {
                text.parse()
            }
        }

        impl std::fmt::Debug for $address {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    )+};
}

textual!(Domain, Zone, Host, HostPort);
