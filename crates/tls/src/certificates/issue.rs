//! What all certificates that are made here have in common.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use chaski_core::{AddressParseError, BoxError, Domain};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{CertifiedKey, LoadError};

/// How far in the past certificates begin to be valid: clocks of clients are wrong, and by the time zone most of all.
pub(super) const BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest that anything is valid: ten years. What is to be trusted for longer is not made in passing.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// RFC 5280 appendix A.1: the most characters of a common name.
const MAX_COMMON_NAME: usize = 64;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// It would be for nobody.
    #[error("a certificate without a name")]
    NoName,
    /// A name is neither a DNS name, nor `*.` and one, nor an IP address.
    #[error("`{0}` is no name for a certificate")]
    Name(Box<str>, #[source] AddressParseError),
    /// The library refused.
    #[error("the certificate cannot be made")]
    Library(#[source] BoxError),
    /// What was made cannot be used.
    #[error("the certificate cannot be used")]
    Unusable(#[source] LoadError),
}

impl From<rcgen::Error> for IssueError {
    fn from(error: rcgen::Error) -> Self {
        Self::Library(error.into())
    }
}

/// A server's certificate for these names, valid from now on, and a day before that.
pub(super) fn leaf<'a>(
    names: impl IntoIterator<Item = &'a str>,
    now: SystemTime,
    lifetime: Duration,
) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.into_iter().map(subject_alt_name).collect::<Result<_, _>>()?;
    let first = params.subject_alt_names.first().ok_or(IssueError::NoName)?;
    let common_name = match first {
        SanType::DnsName(name) => name.as_str().to_owned(),
        SanType::IpAddress(ip) => ip.to_string(),
        _ => String::new(),
    };
    params.distinguished_name = DistinguishedName::new();
    if common_name.len() <= MAX_COMMON_NAME {
        params.distinguished_name.push(DnType::CommonName, common_name);
    }
    // Said in so many words (`CA:FALSE`), which also has the key's identifier written (RFC 5280 section 4.2.1.2).
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params, now, lifetime);
    Ok(params)
}

pub(super) fn valid(params: &mut CertificateParams, now: SystemTime, lifetime: Duration) {
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + lifetime.min(MAX_LIFETIME)).into();
}

fn subject_alt_name(name: &str) -> Result<SanType, IssueError> {
    if let Ok(ip) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(ip));
    }
    let (star, parent) = name.strip_prefix("*.").map_or(("", name), |parent| ("*.", parent));
    let domain: Domain = parent.parse().map_err(|error| IssueError::Name(name.into(), error))?;
    Ok(SanType::DnsName(format!("{star}{}", domain.as_str()).try_into()?))
}

/// A certificate that was made, with its key.
pub(super) fn certified(certificate: &CertificateDer<'static>, key: &KeyPair) -> Result<CertifiedKey, IssueError> {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    CertifiedKey::new(vec![certificate.clone()], key).map_err(IssueError::Unusable)
}

impl CertifiedKey {
    /// For how long a certificate of [`self_signed`](Self::self_signed) is valid: a year.
    pub const SELF_SIGNED_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// Makes a key, and a certificate that it signs itself: for development, and for servers whose clients know the certificate.
    /// Nobody else has a reason to trust it.
    ///
    /// `names` are DNS names, `*.` and one, and IP addresses. The key is of ECDSA on P-256.
    ///
    /// ```
    /// use chaski_tls::CertifiedKey;
    ///
    /// let key = CertifiedKey::self_signed(["localhost", "127.0.0.1", "::1"])?;
    /// assert_eq!(key.subject().as_deref(), Some("CN=localhost"));
    /// # Ok::<(), chaski_tls::IssueError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`IssueError`], for a name that is none above all.
    pub fn self_signed<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, IssueError> {
        let params = leaf(names, SystemTime::now(), Self::SELF_SIGNED_LIFETIME)?;
        let key = KeyPair::generate()?;
        certified(params.self_signed(&key)?.der(), &key)
    }
}
