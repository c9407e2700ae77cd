//! The message itself, RFC 8446 section 4.1.2, which is that of RFC 5246 section 7.4.1.2 too.

use std::collections::BTreeSet;

use chaski_core::Domain;

use super::{ClientHello, ClientHelloError, ClientHelloErrorKind as Kind, HelloPart as Part, reader::Reader};

/// Extensions whose content is kept. The registry of their numbers is IANA's "TLS ExtensionType Values".
pub(super) mod extension {
    /// RFC 6066 section 3.
    pub(crate) const SERVER_NAME: u16 = 0;
    /// RFC 8446 section 4.2.7.
    pub(crate) const SUPPORTED_GROUPS: u16 = 10;
    /// RFC 8422 section 5.1.2.
    pub(crate) const EC_POINT_FORMATS: u16 = 11;
    /// RFC 8446 section 4.2.3.
    pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
    /// RFC 7301 section 3.1.
    pub(crate) const ALPN: u16 = 16;
    /// RFC 8446 section 4.2.1.
    pub(crate) const SUPPORTED_VERSIONS: u16 = 43;
    /// RFC 8446 section 4.2.8.
    pub(crate) const KEY_SHARE: u16 = 51;
    /// RFC 9849 section 5.
    pub(crate) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

/// RFC 6066 section 3: `host_name(0)`.
const HOST_NAME: u8 = 0;

/// RFC 9849 section 5: `outer(0)`.
const ECH_OUTER: u8 = 0;

/// Parses a whole message, its type and its length included.
pub(super) fn parse(message: &[u8], record_version: u16) -> Result<ClientHello, ClientHelloError> {
    let mut reader = Reader::new(message);
    reader.bytes(4)?;
    let legacy_version = reader.u16()?;
    // The random is of no use to anybody but the handshake.
    reader.bytes(32)?;
    let session_id = reader.vector8(Part::SessionId)?;
    let Ok(session_id_len @ ..=32) = u8::try_from(session_id.len()) else {
        return Err(session_id.error(Kind::Length(Part::SessionId)));
    };
    let cipher_suites = reader.vector16(Part::CipherSuites)?.numbers()?;
    let compression_methods = reader.vector8(Part::CompressionMethods)?.rest()?.into();
    let mut hello = ClientHello {
        record_version,
        legacy_version,
        session_id_len,
        cipher_suites,
        compression_methods,
        ..ClientHello::default()
    };
    // RFC 5246 section 7.4.1.2: before TLS 1.3 the extensions may be missing altogether.
    if !reader.is_empty() {
        let block = reader.vector16(Part::Extensions)?;
        reader.end()?;
        hello.read_extensions(block)?;
    }
    Ok(hello)
}

impl ClientHello {
    fn read_extensions(&mut self, mut block: Reader<'_>) -> Result<(), ClientHelloError> {
        let (mut kinds, mut known) = (Vec::new(), BTreeSet::new());
        while !block.is_empty() {
            let start = block;
            let kind = block.u16()?;
            let part = Part::Extension(kind);
            // RFC 8446 section 4.2: there must not be more than one extension of the same type.
            if !known.insert(kind) {
                return Err(start.error(Kind::Repeated(part)));
            }
            let content = block.vector16(part)?;
            kinds.push(kind);
            self.read_extension(kind, content)?;
        }
        self.extensions = kinds.into();
        Ok(())
    }

    fn read_extension(&mut self, kind: u16, mut content: Reader<'_>) -> Result<(), ClientHelloError> {
        let part = Part::Extension(kind);
        match kind {
            extension::SERVER_NAME => {
                let names = content.vector16(part)?;
                self.read_server_names(names)?;
            }
            extension::SUPPORTED_GROUPS => self.supported_groups = content.vector16(part)?.numbers()?,
            extension::EC_POINT_FORMATS => self.point_formats = content.vector8(part)?.rest()?.into(),
            extension::SIGNATURE_ALGORITHMS => self.signature_algorithms = content.vector16(part)?.numbers()?,
            extension::ALPN => {
                let names = content.vector16(part)?;
                self.alpn = names.rest()?.into();
                let mut each = names;
                while !each.is_empty() {
                    // RFC 7301 section 3.1: empty strings must not be included.
                    each.vector8(part)?.rest()?;
                }
            }
            extension::SUPPORTED_VERSIONS => self.supported_versions = content.vector8(part)?.numbers()?,
            extension::KEY_SHARE => {
                // RFC 8446 section 4.2.8: no shares at all ask for a HelloRetryRequest.
                let mut shares = content.vector16(part)?;
                let mut groups = Vec::new();
                while !shares.is_empty() {
                    groups.push(shares.u16()?);
                    shares.vector16(part)?.rest()?;
                }
                self.key_share_groups = groups.into();
            }
            extension::ENCRYPTED_CLIENT_HELLO => {
                self.encrypted_client_hello = content.u8()? == ECH_OUTER;
                return Ok(());
            }
            _ => return Ok(()),
        }
        content.end()
    }

    /// RFC 6066 section 3: a list of names, at most one of each type, of which only host names were ever defined.
    fn read_server_names(&mut self, mut names: Reader<'_>) -> Result<(), ClientHelloError> {
        let part = Part::Extension(extension::SERVER_NAME);
        names.rest()?;
        while !names.is_empty() {
            let start = names;
            let kind = names.u8()?;
            let name = names.vector16(part)?.rest()?;
            if kind != HOST_NAME {
                continue;
            }
            if self.server_name_bytes.is_some() {
                return Err(start.error(Kind::Repeated(part)));
            }
            self.server_name =
                str::from_utf8(name).ok().filter(|name| name.is_ascii()).and_then(|name| name.parse::<Domain>().ok());
            self.server_name_bytes = Some(name.into());
        }
        Ok(())
    }
}
