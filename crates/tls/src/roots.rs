use std::{
    fmt, io,
    path::Path,
    sync::{Arc, OnceLock},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateRevocationListDer, TrustAnchor},
};

use crate::{LoadError, LoadErrorCause, certificates::pem};

/// Certificates that are trusted to issue others, and what they have revoked: parsed once, shared by all that are given them.
/// A clone is the same set.
///
/// ```
/// use chaski_tls::Roots;
///
/// let mozilla = Roots::bundled();
/// assert!(mozilla.len() > 100);
/// ```
#[derive(Clone)]
pub struct Roots {
    store: Arc<RootCertStore>,
    revoked: Arc<[CertificateRevocationListDer<'static>]>,
}

impl Roots {
    /// Nobody is trusted yet.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(std::iter::empty())
    }

    /// The roots that Mozilla trusts for servers, as of the release that this program was built with. They are no part of the
    /// system, so they do not change with it.
    #[must_use]
    pub fn bundled() -> Self {
        static BUNDLED: OnceLock<Roots> = OnceLock::new();
        let roots = || Self::of(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        BUNDLED.get_or_init(roots).clone()
    }

    /// The roots of the system, read at the first call and kept by the process from then on. What of them cannot be parsed is
    /// passed over.
    ///
    /// Blocks while it reads: the first call belongs into the start of a program.
    ///
    /// # Errors
    ///
    /// When none was found; the error of the first file that could not be read is its source. Then the next call tries again.
    pub fn native() -> Result<Self, io::Error> {
        static NATIVE: OnceLock<Roots> = OnceLock::new();
        if let Some(native) = NATIVE.get() {
            return Ok(native.clone());
        }
        let mut found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        let (added, passed_over) = store.add_parsable_certificates(std::mem::take(&mut found.certs));
        if added == 0 {
            return Err(match found.errors.into_iter().next() {
                Some(error) => io::Error::new(io::ErrorKind::NotFound, error),
                None => io::Error::new(io::ErrorKind::NotFound, "the system has no root certificates"),
            });
        }
        tracing::debug!(added, passed_over, "read the system's root certificates");
        Ok(NATIVE.get_or_init(|| Self::parsed(store)).clone())
    }

    /// The certificates of a PEM file, or the one of a DER file. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`LoadError`], when the file cannot be read, has no certificate, or one that cannot be read.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        pem::read(path).and_then(|bytes| Self::from_bytes(&bytes)).map_err(|error| error.in_file(path))
    }

    /// As [`from_file`](Self::from_file), of what is in such a file.
    ///
    /// # Errors
    ///
    /// As those of [`from_file`](Self::from_file).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        let mut store = RootCertStore::empty();
        for certificate in pem::certificates(bytes)? {
            store.add(certificate).map_err(|error| LoadErrorCause::BadCertificate(error.into()))?;
        }
        Ok(Self::parsed(store))
    }

    /// These and those of `other`, with what either has revoked.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        let mut both = Self::of(self.store.roots.iter().chain(&other.store.roots).cloned());
        both.revoked = self.revoked.iter().chain(&*other.revoked).cloned().collect();
        both
    }

    /// Adds lists of revoked certificates (CRL, RFC 5280 section 5), in PEM, or one in DER. A certificate that stands in the
    /// list of its issuer is refused, and so is all that it has issued. One whose issuer has no list here is not, and a list that
    /// is out of date still counts: keeping them up to date is the caller's, who gives the next set to
    /// [`replace`](crate::ConnectLayer::replace).
    ///
    /// # Errors
    ///
    /// [`LoadError`] when there is no list. One that cannot be read shows when settings are compiled.
    pub fn with_revocation_lists(mut self, bytes: &[u8]) -> Result<Self, LoadError> {
        let more = pem::revocation_lists(bytes)?;
        self.revoked = self.revoked.iter().cloned().chain(more).collect();
        Ok(self)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// Whether both are one set in memory, and not merely alike.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.store, &other.store)
    }

    pub(crate) fn revoked(&self) -> impl Iterator<Item = CertificateRevocationListDer<'static>> {
        self.revoked.iter().cloned()
    }

    pub(crate) fn store(&self) -> &Arc<RootCertStore> {
        &self.store
    }

    fn of(anchors: impl Iterator<Item = TrustAnchor<'static>>) -> Self {
        Self::parsed(RootCertStore { roots: anchors.collect() })
    }

    fn parsed(store: RootCertStore) -> Self {
        Self { store: Arc::new(store), revoked: Arc::default() }
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.len())
    }
}
