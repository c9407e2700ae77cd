//! Certificates and keys in files: PEM (RFC 7468), or the DER that is in it.

use std::{
    fs::File,
    io::{self, Read},
    iter::Enumerate,
    path::Path,
    slice::Split,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer,
    PrivateSec1KeyDer,
};

use super::{LoadError, LoadErrorCause};

/// The most bytes of a file that are read: many times the size of all the roots of a system.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 16 MiB"));
        }
        Ok(bytes)
    };
    read().map_err(|error| LoadErrorCause::Read(error).into())
}

/// All certificates, in their order; at least one.
pub(crate) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, LoadError> {
    if is_der(bytes) {
        return Ok(vec![bytes.to_vec().into()]);
    }
    let mut found = Vec::new();
    for section in Sections::of(bytes) {
        let section = section?;
        // The second name is what OpenSSL wrote before there were others than X.509.
        if matches!(section.label, "CERTIFICATE" | "X509 CERTIFICATE") {
            found.push(section.decode()?.into());
        }
    }
    if found.is_empty() { Err(LoadErrorCause::NoCertificate.into()) } else { Ok(found) }
}

/// All lists of revoked certificates; at least one.
pub(crate) fn revocation_lists(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, LoadError> {
    if is_der(bytes) {
        return Ok(vec![bytes.to_vec().into()]);
    }
    let mut found = Vec::new();
    for section in Sections::of(bytes) {
        let section = section?;
        if section.label == "X509 CRL" {
            found.push(section.decode()?.into());
        }
    }
    if found.is_empty() { Err(LoadErrorCause::NoRevocationList.into()) } else { Ok(found) }
}

/// The first private key.
pub(crate) fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, LoadError> {
    if is_der(bytes) {
        return private_key_der(bytes);
    }
    for section in Sections::of(bytes) {
        let section = section?;
        match section.label {
            label if !label.ends_with("PRIVATE KEY") => {}
            "ENCRYPTED PRIVATE KEY" => return Err(LoadErrorCause::EncryptedKey.into()),
            _ if section.is_encrypted() => return Err(LoadErrorCause::EncryptedKey.into()),
            "PRIVATE KEY" => return Ok(PrivatePkcs8KeyDer::from(section.decode()?).into()),
            "RSA PRIVATE KEY" => return Ok(PrivatePkcs1KeyDer::from(section.decode()?).into()),
            "EC PRIVATE KEY" => return Ok(PrivateSec1KeyDer::from(section.decode()?).into()),
            label => return Err(LoadErrorCause::UnknownKey { label: label.to_owned() }.into()),
        }
    }
    Err(LoadErrorCause::NoKey.into())
}

/// DER of either kind is a `SEQUENCE`, and its length a byte that is not ASCII, or the first value in it a number.
fn is_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x80..=0xff, ..] | [0x30, _, 0x02, ..])
}

fn private_key_der(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, LoadError> {
    if let Ok(key) = PrivateKeyDer::try_from(bytes) {
        return Ok(key.clone_key());
    }
    // RFC 5958 section 3: an encrypted key begins with the algorithm, all others begin with a version number. What else
    // begins so is a certificate.
    Err(match bytes {
        _ if rustls::server::ParsedCertificate::try_from(&CertificateDer::from(bytes)).is_ok() => LoadErrorCause::NoKey,
        [0x30, 0x81, _, 0x30, ..] | [0x30, 0x82, _, _, 0x30, ..] => LoadErrorCause::EncryptedKey,
        _ => LoadErrorCause::UnknownKey { label: "DER".to_owned() },
    }
    .into())
}

/// What stands between `-----BEGIN LABEL-----` and `-----END LABEL-----`.
struct Section<'a> {
    label: &'a str,
    /// The number of the first line.
    line: usize,
    lines: Vec<&'a [u8]>,
}

impl Section<'_> {
    /// RFC 1421 section 4.6.1.1, which older keys still go by.
    fn is_encrypted(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED"))
    }

    fn decode(&self) -> Result<Vec<u8>, LoadError> {
        // Headers, where there are any, end with an empty line.
        let body = match self.lines.iter().position(|line| line.is_empty()) {
            Some(at) if self.lines[..at].iter().any(|line| line.contains(&b':')) => at + 1,
            _ => 0,
        };
        let base64 = self.lines[body..].concat();
        BASE64_STANDARD.decode(base64).map_err(|_| malformed(self.line, "what follows is not base64"))
    }
}

/// The sections of a text. What stands between them is for people (RFC 7468 section 5.2).
struct Sections<'a> {
    lines: Enumerate<Split<'a, u8, IsNewline>>,
}

type IsNewline = fn(&u8) -> bool;

impl<'a> Sections<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let is_newline: IsNewline = |&byte| byte == b'\n';
        Self { lines: bytes.split(is_newline).enumerate() }
    }

    fn section(&mut self, label: &'a str, line: usize) -> Result<Section<'a>, LoadError> {
        let mut section = Section { label, line, lines: Vec::new() };
        for (at, text) in self.lines.by_ref() {
            let text = text.trim_ascii();
            if let Some(end) = boundary(text, "-----END ") {
                if end == label {
                    return Ok(section);
                }
                return Err(malformed(at + 1, "this ends another section than the one that has begun"));
            }
            if text.starts_with(b"-----BEGIN ") {
                return Err(malformed(at + 1, "a section begins within another"));
            }
            section.lines.push(text);
        }
        Err(malformed(line, "the section that begins here has no end"))
    }
}

impl<'a> Iterator for Sections<'a> {
    type Item = Result<Section<'a>, LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (at, text) = self.lines.next()?;
            if let Some(label) = boundary(text.trim_ascii(), "-----BEGIN ") {
                return Some(self.section(label, at + 1));
            }
        }
    }
}

/// The label of a line that begins or ends a section.
fn boundary<'a>(line: &'a [u8], start: &str) -> Option<&'a str> {
    let label = line.strip_prefix(start.as_bytes())?.strip_suffix(b"-----")?;
    std::str::from_utf8(label).ok()
}

fn malformed(line: usize, what: &'static str) -> LoadError {
    LoadErrorCause::Malformed { line, what }.into()
}
