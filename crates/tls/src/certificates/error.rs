use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use chaski_core::BoxError;

use crate::NameError;

/// Why certificates or keys could not be loaded: which file, and what is wrong with it.
#[derive(Debug)]
pub struct LoadError {
    file: Option<PathBuf>,
    cause: LoadErrorCause,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadErrorCause {
    /// The file cannot be read.
    #[error("cannot be read")]
    Read(#[source] io::Error),
    /// There is no certificate in it.
    #[error("has no certificate")]
    NoCertificate,
    /// There is no list of revoked certificates in it.
    #[error("has no list of revoked certificates")]
    NoRevocationList,
    /// There is no private key in it.
    #[error("has no private key")]
    NoKey,
    /// The private key is encrypted. Nothing here asks for passphrases.
    #[error("has an encrypted private key: decrypt it first, as `openssl pkey -in KEY -out DECRYPTED` does")]
    EncryptedKey,
    /// The private key is of a kind that TLS does not use, or that nothing here can read.
    #[error("has a private key of an unknown kind: {label}")]
    UnknownKey {
        /// How PEM names it: `DSA PRIVATE KEY`.
        label: String,
    },
    /// The private key is broken, or of a size or curve that is not taken.
    #[error("has a private key that cannot be used")]
    UnusableKey(#[source] BoxError),
    /// The text is broken.
    #[error("is broken in line {line}: {what}")]
    Malformed {
        /// The line, from 1 on.
        line: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// A certificate cannot be read.
    #[error("has a certificate that cannot be read")]
    BadCertificate(#[source] BoxError),
    /// The certificate is for others than the name of its file says.
    #[error("has a certificate{} that is not for `{name}`", for_subject(.subject.as_deref()))]
    NotFor {
        /// The name.
        name: String,
        /// Whom the certificate is for.
        subject: Option<String>,
    },
    /// The name of the file is not that of a server.
    #[error("has a name that is not that of one server")]
    FileName(#[source] NameError),
    /// The key is not that of the certificate.
    #[error("has a private key that does not match the certificate{}", for_subject(.subject.as_deref()))]
    Mismatch {
        /// Whom the certificate is for.
        subject: Option<String>,
    },
}

impl LoadError {
    /// The file, if it was one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What is wrong.
    #[must_use]
    pub fn cause(&self) -> &LoadErrorCause {
        &self.cause
    }

    pub(crate) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl From<LoadErrorCause> for LoadError {
    fn from(cause: LoadErrorCause) -> Self {
        Self { file: None, cause }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {}", file.display(), self.cause),
            None => write!(f, "the input {}", self.cause),
        }
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

fn for_subject(subject: Option<&str>) -> String {
    subject.map_or_else(String::new, |subject| format!(" ({subject})"))
}
