//! What a TLS client says first: parsed without IO, without a runtime and without a TLS library.
//!
//! [`ClientHelloDecoder`] takes the bytes of a stream as they come and gives a [`ClientHello`]. That tells whom the
//! client wants to talk to, what it is able to do, and, by the order in which it says so, what program it is: as
//! [JA3](ClientHello::ja3) and as [JA4](ClientHello::ja4).

mod decoder;
mod error;
mod grease;
mod ja3;
mod ja4;
mod message;
mod reader;
#[cfg(test)]
mod tests;

#[cfg(all(test, feature = "http"))]
pub(crate) use tests::test_hello;

pub use decoder::ClientHelloDecoder;
pub use error::{ClientHelloError, ClientHelloErrorKind, HelloPart};
pub use grease::is_grease;

use chaski_core::Domain;

/// A client's first message: all that it says of itself, in the order in which it says it, without its random, its keys and
/// its tickets.
///
/// As a fact it belongs to the connection on which it arrived. Numbers are those of IANA's registries, as they came, with
/// the meaningless ones that some clients mix in ([`is_grease`]); lists are empty where their extension is missing.
///
/// Nothing here is authenticated. Whoever connects chooses all of it, so it tells how a client wants to be seen: good for
/// routing and for statistics, never for access.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    record_version: u16,
    legacy_version: u16,
    session_id_len: u8,
    encrypted_client_hello: bool,
    cipher_suites: Box<[u16]>,
    compression_methods: Box<[u8]>,
    extensions: Box<[u16]>,
    server_name: Option<Domain>,
    server_name_bytes: Option<Box<[u8]>>,
    /// Names with their lengths in front, checked.
    alpn: Box<[u8]>,
    supported_versions: Box<[u16]>,
    supported_groups: Box<[u16]>,
    point_formats: Box<[u8]>,
    signature_algorithms: Box<[u16]>,
    key_share_groups: Box<[u16]>,
}

impl ClientHello {
    /// The version of the record that the hello began in: nearly always `0x0301`, whatever the client speaks.
    pub const fn record_version(&self) -> u16 {
        self.record_version
    }

    /// `legacy_version`: the highest version that the client speaks, but never more than `0x0303`, TLS 1.2. Those above are
    /// in [`supported_versions`](Self::supported_versions).
    pub const fn legacy_version(&self) -> u16 {
        self.legacy_version
    }

    /// The versions that the client speaks, best first, by its extension `supported_versions`.
    pub fn supported_versions(&self) -> &[u16] {
        &self.supported_versions
    }

    /// The length of the session id, 0 to 32. The id of a client of TLS 1.3 means nothing, but for its being there.
    pub const fn session_id_len(&self) -> usize {
        self.session_id_len as usize
    }

    /// The server that the client wants to talk to (SNI), if it names one by a valid DNS name, in lower case.
    pub const fn server_name(&self) -> Option<&Domain> {
        self.server_name.as_ref()
    }

    /// The server's name as it came, which may be anything but empty: an IP address or bytes that are no text, too.
    pub fn server_name_bytes(&self) -> Option<&[u8]> {
        self.server_name_bytes.as_deref()
    }

    /// The application protocols that the client offers, best first.
    pub fn alpn(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.alpn;
        std::iter::from_fn(move || {
            let (&len, behind) = rest.split_first()?;
            let (name, behind) = behind.split_at_checked(usize::from(len))?;
            rest = behind;
            Some(name)
        })
    }

    /// The cipher suites, best first.
    pub fn cipher_suites(&self) -> &[u16] {
        &self.cipher_suites
    }

    /// The compression methods, one byte each.
    pub fn compression_methods(&self) -> &[u8] {
        &self.compression_methods
    }

    /// The types of all extensions, in the order on the wire. None comes twice.
    pub fn extensions(&self) -> &[u16] {
        &self.extensions
    }

    /// The groups that keys may be exchanged in, best first.
    pub fn supported_groups(&self) -> &[u16] {
        &self.supported_groups
    }

    /// The forms of points on elliptic curves, one byte each.
    pub fn point_formats(&self) -> &[u8] {
        &self.point_formats
    }

    /// The algorithms by which a server may sign, best first.
    pub fn signature_algorithms(&self) -> &[u16] {
        &self.signature_algorithms
    }

    /// The groups for which the client has sent a key already.
    pub fn key_share_groups(&self) -> &[u16] {
        &self.key_share_groups
    }

    /// Whether the client says that the real hello is encrypted inside of this outer one (RFC 9849). Clients that have
    /// nothing to hide send the same with random content, and the two cannot be told apart.
    pub const fn has_encrypted_client_hello(&self) -> bool {
        self.encrypted_client_hello
    }

    /// Whether any list has a code that means nothing ([`is_grease`]).
    pub fn has_grease(&self) -> bool {
        [
            &self.cipher_suites,
            &self.extensions,
            &self.supported_versions,
            &self.supported_groups,
            &self.signature_algorithms,
            &self.key_share_groups,
        ]
        .into_iter()
        .any(|codes| codes.iter().copied().any(is_grease))
    }
}

/// The codes of a list that mean something.
fn meant(codes: &[u16]) -> impl Iterator<Item = u16> {
    codes.iter().copied().filter(|&code| !is_grease(code))
}

/// Bytes in lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
