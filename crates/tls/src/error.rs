//! What goes wrong on a connection. What goes wrong before there is one is told by [`ConfigError`](crate::ConfigError) and
//! [`LoadError`](crate::LoadError).

use std::{fmt, io};

use chaski_core::{BoxError, Elapsed};
use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::{Alert, verify::refused};

/// Why a TLS connection did not come about, or broke.
///
/// On a server it is the error of the [`Acceptor`](crate::Acceptor). On a client it stands below a
/// [`ConnectError`](chaski_core::ConnectError), and on either side below an [`io::Error`] of the stream; there
/// [`find_cause`](chaski_core::find_cause) finds it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate was refused.
    #[error("the peer's certificate {}{fault}", of(.subject.as_deref()))]
    Certificate {
        /// What is wrong with it.
        fault: CertificateFault,
        /// Whom it is for, as it says itself: `CN=example.com, O=Example`. Nobody has vouched for that.
        subject: Option<String>,
        /// The details.
        #[source]
        source: BoxError,
    },
    /// The peer sent no certificate, and one is required.
    #[error("the peer sent no certificate, and one is required")]
    NoCertificate,
    /// This server has no certificate for the name that the client asks for, or for no name.
    #[error("no certificate for what the client asks for ({})", .server_name.as_deref().unwrap_or("no name"))]
    NoServerCertificate {
        /// The name in the client's hello.
        server_name: Option<String>,
    },
    /// The issuer of this server's certificates failed.
    #[error("no certificate could be had")]
    Issuer(#[source] BoxError),
    /// The two sides have nothing in common of what both need.
    #[error("no {what} in common with the peer")]
    NothingInCommon {
        /// What it is.
        what: Common,
        /// The details.
        #[source]
        source: BoxError,
    },
    /// The peer gave up, and said why.
    #[error("the peer gave up: {0}")]
    Alert(Alert),
    /// The first bytes are not TLS.
    #[error("the peer does not speak TLS")]
    NotTls(#[source] BoxError),
    /// The peer broke a rule of the protocol, or somebody changed what it sent.
    #[error("the peer broke the rules of TLS")]
    Protocol(#[source] BoxError),
    /// The peer closed the connection in the handshake.
    #[error("the peer closed the connection in the handshake")]
    ClosedInHandshake,
    /// The peer, or somebody on the way, ended the connection without `close_notify`.
    #[error("the connection was cut: its end is not the one that the peer announced")]
    Truncated,
    /// A limit of time passed.
    #[error("the peer was too slow")]
    Timeout(#[source] Elapsed),
    /// The server stops, and the handshake was not complete.
    #[error("the server stops, and the handshake was not complete")]
    Draining,
    /// The IO failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
    /// The library failed in another way, on this side.
    #[error("TLS failed")]
    Other(#[source] BoxError),
}

/// What is wrong with a peer's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is no longer valid.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for other names.
    NameMismatch,
    /// Nobody who is trusted has issued it.
    UnknownIssuer,
    /// It was revoked.
    Revoked,
    /// It, or the handshake, is not signed by the key that it should be signed by.
    BadSignature,
    /// Its public key is none of those that are [pinned](crate::SpkiPin).
    NotPinned,
    /// It may not be used for this: by its purpose, by a constraint, by an extension that nobody here knows.
    Unsuitable,
    /// It cannot be read.
    Malformed,
}

/// What two peers need in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Common {
    /// A version of TLS.
    Version,
    /// A cipher suite.
    CipherSuite,
    /// A group for the exchange of keys.
    Group,
    /// A way to sign.
    SignatureScheme,
    /// An application protocol (ALPN, RFC 7301).
    ApplicationProtocol,
}

impl TlsError {
    /// What is wrong with the peer's certificate, if that is the cause.
    #[must_use]
    pub fn certificate_fault(&self) -> Option<CertificateFault> {
        match self {
            Self::Certificate { fault, .. } => Some(*fault),
            _ => None,
        }
    }

    /// The alert of the peer, if that is the cause.
    #[must_use]
    pub fn alert(&self) -> Option<Alert> {
        match self {
            Self::Alert(alert) => Some(*alert),
            _ => None,
        }
    }

    /// Whether a limit of time passed.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// What the library says, and whose certificate it is that was refused meanwhile.
    pub(crate) fn from_rustls(error: Error) -> Self {
        match error {
            Error::AlertReceived(alert) => Self::Alert(Alert::new(alert.into())),
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::NoApplicationProtocol => Self::nothing_in_common(Common::ApplicationProtocol, error),
            Error::InvalidCertificate(ref why) => {
                let fault = CertificateFault::from_rustls(why);
                Self::Certificate { fault, subject: refused::take(), source: error.into() }
            }
            Error::PeerIncompatible(ref why) => match in_common(why) {
                Some(what) => Self::nothing_in_common(what, error),
                None => Self::Protocol(error.into()),
            },
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls(error.into()),
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord
            | Error::DecryptError => Self::Protocol(error.into()),
            error => Self::Other(error.into()),
        }
    }

    fn nothing_in_common(what: Common, error: Error) -> Self {
        Self::NothingInCommon { what, source: error.into() }
    }

    /// What writing to a connection says that an error of the peer's has ended before.
    pub(crate) fn from_write(error: io::Error) -> io::Error {
        match error.downcast::<Error>() {
            Ok(error) => Self::from_rustls(error).into(),
            Err(error) => error,
        }
    }
}

/// As the streams report it: the cause of an `io::Error`, but for one that is an `io::Error` itself.
impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error {
            TlsError::Io(error) => return error,
            TlsError::Truncated | TlsError::ClosedInHandshake => io::ErrorKind::UnexpectedEof,
            TlsError::Timeout(_) => io::ErrorKind::TimedOut,
            // The peer has closed, in an unfriendly way.
            TlsError::Alert(_) => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl CertificateFault {
    fn from_rustls(error: &CertificateError) -> Self {
        use CertificateError as E;
        match error {
            E::Expired | E::ExpiredContext { .. } => Self::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => Self::NotYetValid,
            E::NotValidForName | E::NotValidForNameContext { .. } => Self::NameMismatch,
            E::UnknownIssuer => Self::UnknownIssuer,
            E::Revoked => Self::Revoked,
            E::BadSignature => Self::BadSignature,
            E::BadEncoding => Self::Malformed,
            // What the pins say: nothing else here says it.
            E::ApplicationVerificationFailure => Self::NotPinned,
            _ => Self::Unsuitable,
        }
    }
}

fn in_common(why: &PeerIncompatible) -> Option<Common> {
    use PeerIncompatible as P;
    match why {
        P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig
        | P::SupportedVersionsExtensionRequired
        | P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled
        // This extension came with TLS 1.2, so clients without it are older (RFC 5246 section 7.4.1.4.1).
        | P::SignatureAlgorithmsExtensionRequired => Some(Common::Version),
        P::NoCipherSuitesInCommon => Some(Common::CipherSuite),
        P::NoKxGroupsInCommon | P::KeyShareExtensionRequired | P::NamedGroupsExtensionRequired => Some(Common::Group),
        P::NoSignatureSchemesInCommon | P::NoCertificateRequestSignatureSchemesInCommon => {
            Some(Common::SignatureScheme)
        }
        _ => None,
    }
}

/// `of CN=example.com ` or nothing.
fn of(subject: Option<&str>) -> String {
    subject.map_or_else(String::new, |subject| format!("({subject}) "))
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "has expired",
            Self::NotYetValid => "is not valid yet",
            Self::NameMismatch => "is for other names",
            Self::UnknownIssuer => "was issued by nobody who is trusted",
            Self::Revoked => "was revoked",
            Self::BadSignature => "or its handshake has a wrong signature",
            Self::NotPinned => "has none of the pinned keys",
            Self::Unsuitable => "may not be used for this",
            Self::Malformed => "cannot be read",
        })
    }
}

impl fmt::Display for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "version of TLS",
            Self::CipherSuite => "cipher suite",
            Self::Group => "key exchange group",
            Self::SignatureScheme => "signature scheme",
            Self::ApplicationProtocol => "application protocol",
        })
    }
}
