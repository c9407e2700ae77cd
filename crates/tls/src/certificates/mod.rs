//! Certificates with their keys, and where they come from.

#[cfg(feature = "issuing")]
mod authority;
mod directory;
mod error;
#[cfg(feature = "issuing")]
mod issue;
pub(crate) mod pem;

#[cfg(feature = "issuing")]
pub use authority::CertificateAuthority;
pub use directory::CertificateDirectory;
pub use error::{LoadError, LoadErrorCause};
#[cfg(feature = "issuing")]
pub use issue::IssueError;

use std::{fmt, path::Path, sync::Arc};

use arc_swap::ArcSwapOption;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::ParsedCertificate,
    sign,
};

use crate::{config::Base, provider::provider, verify::x509};

/// A certificate, those between it and a root, and its key: what a server or a client proves with who it is.
///
/// A clone is the same one. `Debug` tells of the certificate, never of the key.
///
/// ```
/// use chaski_tls::CertifiedKey;
///
/// let error = CertifiedKey::from_files("/no/such/chain.pem", "/no/such/key.pem").unwrap_err();
/// assert!(error.to_string().starts_with("/no/such/chain.pem: "));
/// ```
#[derive(Clone)]
pub struct CertifiedKey {
    inner: Arc<Inner>,
}

struct Inner {
    key: Arc<sign::CertifiedKey>,
    /// The configuration of the server that has used it last, with this key in it.
    compiled: ArcSwapOption<ServerConfig>,
}

impl CertifiedKey {
    /// Reads a chain, the certificate first, and its key: PEM or DER, told by what is in them, which may be one file. Blocks
    /// while it reads.
    ///
    /// Keys are taken in PKCS #8, PKCS #1 and SEC 1, unencrypted: RSA of 2,048 to 8,192 bits, ECDSA on P-256, P-384 and P-521
    /// (the last not with `ring`), Ed25519.
    ///
    /// # Errors
    ///
    /// [`LoadError`], which names the file and what is wrong with it.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, LoadError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        let certificates = pem::read(chain).and_then(|bytes| pem::certificates(&bytes));
        let certificates = certificates.map_err(|error| error.in_file(chain))?;
        let private = pem::read(key).and_then(|bytes| pem::private_key(&bytes)).map_err(|error| error.in_file(key))?;
        Self::new(certificates, private).map_err(|error| match error.cause() {
            LoadErrorCause::BadCertificate(_) => error.in_file(chain),
            _ => error.in_file(key),
        })
    }

    /// As [`from_files`](Self::from_files), of what is in such files.
    ///
    /// # Errors
    ///
    /// [`LoadError`], without a file.
    pub fn from_bytes(chain: &[u8], key: &[u8]) -> Result<Self, LoadError> {
        Self::new(pem::certificates(chain)?, pem::private_key(key)?)
    }

    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, LoadError> {
        let Some(leaf) = chain.first() else { return Err(LoadErrorCause::NoCertificate.into()) };
        let parsed = ParsedCertificate::try_from(leaf).map_err(|error| LoadErrorCause::BadCertificate(error.into()))?;
        let signing = provider().key_provider.load_private_key(key);
        let signing = signing.map_err(|error| LoadErrorCause::UnusableKey(error.into()))?;
        // Every key of the two libraries can tell its public half.
        if signing.public_key().is_some_and(|public| public != parsed.subject_public_key_info()) {
            return Err(LoadErrorCause::Mismatch { subject: x509::subject(leaf) }.into());
        }
        let key = Arc::new(sign::CertifiedKey::new(chain, signing));
        Ok(Self { inner: Arc::new(Inner { key, compiled: ArcSwapOption::empty() }) })
    }

    /// The certificates in DER, that of the key first.
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.inner.key.cert.iter().map(AsRef::as_ref)
    }

    /// Whom the certificate is for, as it says: `CN=example.com`. `None` when its subject is empty, as many are that list
    /// their names elsewhere.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        self.inner.key.cert.first().and_then(|leaf| x509::subject(leaf))
    }

    pub(crate) fn signing(&self) -> &Arc<sign::CertifiedKey> {
        &self.inner.key
    }

    /// `base` with this key in it: made once, for a key that one server uses.
    pub(crate) fn server_config(&self, base: &Base) -> Arc<ServerConfig> {
        if let Some(compiled) = self.inner.compiled.load_full().filter(|compiled| base.has_made(compiled)) {
            return compiled;
        }
        let compiled = Arc::new(base.with_key(self));
        self.inner.compiled.store(Some(Arc::clone(&compiled)));
        compiled
    }
}

impl fmt::Debug for CertifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertifiedKey")
            .field("subject", &self.subject())
            .field("certificates", &self.inner.key.cert.len())
            .finish_non_exhaustive()
    }
}

/// Has the certificates of a server.
///
/// It is asked for each connection, when the client's hello is there, so it answers from memory. Every closure from a name to a
/// certificate is one, and a [`CertifiedKey`] is one that answers with itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not have certificates",
    note = "a `CertifiedKey` does, and a closure `|server_name: Option<&str>| -> Option<CertifiedKey>`"
)]
pub trait Certificates: Send + Sync + 'static {
    /// The certificate for a client that asks for this name, or for none (SNI, RFC 6066 section 3). The name is in lower case
    /// and has no dot at its end. `None` refuses the client.
    fn find(&self, server_name: Option<&str>) -> Option<CertifiedKey>;
}

impl Certificates for CertifiedKey {
    fn find(&self, _: Option<&str>) -> Option<CertifiedKey> {
        Some(self.clone())
    }
}

impl<F: Fn(Option<&str>) -> Option<CertifiedKey> + Send + Sync + 'static> Certificates for F {
    fn find(&self, server_name: Option<&str>) -> Option<CertifiedKey> {
        self(server_name)
    }
}

impl<C: Certificates + ?Sized> Certificates for Arc<C> {
    fn find(&self, server_name: Option<&str>) -> Option<CertifiedKey> {
        (**self).find(server_name)
    }
}
