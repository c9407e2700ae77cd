//! What is known of a connection once its handshake is done.

use std::{fmt, sync::Arc};

use chaski_core::Domain;
use rustls::{Connection, HandshakeKind, ProtocolVersion, pki_types::CertificateDer};

use crate::verify::x509;

/// A fact: what two peers have agreed on. Acceptor and connector add it to the scope of the connection.
#[derive(Clone, PartialEq, Eq)]
pub struct Negotiated {
    version: TlsVersion,
    cipher_suite: CipherSuite,
    group: Option<Group>,
    alpn: Option<Box<[u8]>>,
    server_name: Option<Domain>,
    resumed: bool,
}

impl Negotiated {
    /// The version of TLS.
    #[must_use]
    pub fn version(&self) -> TlsVersion {
        self.version
    }

    /// The cipher suite.
    #[must_use]
    pub fn cipher_suite(&self) -> CipherSuite {
        self.cipher_suite
    }

    /// The group in which keys were exchanged; `None` for a session of TLS 1.2 that was resumed, which goes without.
    #[must_use]
    pub fn group(&self) -> Option<Group> {
        self.group
    }

    /// The application protocol (ALPN, RFC 7301), such as `h2`. `None` when the client offered none, or the server chose none.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The name in the client's hello (SNI, RFC 6066 section 3). `None` when there was none, as for a server that is known by
    /// its address.
    #[must_use]
    pub fn server_name(&self) -> Option<&Domain> {
        self.server_name.as_ref()
    }

    /// Whether the session goes on from an earlier connection, without certificates being exchanged and verified again.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// `None` before the handshake has ended.
    pub(crate) fn of(tls: &Connection, server_name: Option<Domain>) -> Option<Self> {
        Some(Self {
            version: match tls.protocol_version()? {
                ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
                _ => TlsVersion::Tls13,
            },
            cipher_suite: CipherSuite(tls.negotiated_cipher_suite()?.suite().into()),
            group: tls.negotiated_key_exchange_group().map(|group| Group(group.name().into())),
            alpn: tls.alpn_protocol().map(Box::from),
            server_name,
            resumed: tls.handshake_kind()? == HandshakeKind::Resumed,
        })
    }
}

impl fmt::Debug for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Negotiated")
            .field("version", &self.version)
            .field("cipher_suite", &self.cipher_suite)
            .field("group", &self.group)
            .field("alpn", &self.alpn().map(String::from_utf8_lossy))
            .field("server_name", &self.server_name)
            .field("resumed", &self.resumed)
            .finish()
    }
}

/// A version of TLS. Older ones are neither offered nor accepted (RFC 8996).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// Numbers of a registry, of which those that are known here have names.
macro_rules! registry {
    ($(#[$docs:meta])* $name:ident { $($(#[$doc:meta])* $constant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$docs])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(u16);

        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self($code);)*

            /// Its number in the registry of IANA.
            #[must_use]
            pub const fn code(self) -> u16 {
                self.0
            }

            /// Its name in the registry, of those that are used here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{:#06x}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

registry! {
    /// A cipher suite. All have forward secrecy and authenticate what they encrypt (RFC 9325 section 4.2).
    CipherSuite {
        /// TLS 1.3.
        AES_128_GCM_SHA256 = 0x1301, "TLS_AES_128_GCM_SHA256";
        /// TLS 1.3.
        AES_256_GCM_SHA384 = 0x1302, "TLS_AES_256_GCM_SHA384";
        /// TLS 1.3.
        CHACHA20_POLY1305_SHA256 = 0x1303, "TLS_CHACHA20_POLY1305_SHA256";
        /// TLS 1.2.
        ECDHE_ECDSA_AES_128_GCM_SHA256 = 0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
        /// TLS 1.2.
        ECDHE_ECDSA_AES_256_GCM_SHA384 = 0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
        /// TLS 1.2.
        ECDHE_ECDSA_CHACHA20_POLY1305_SHA256 = 0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
        /// TLS 1.2.
        ECDHE_RSA_AES_128_GCM_SHA256 = 0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        /// TLS 1.2.
        ECDHE_RSA_AES_256_GCM_SHA384 = 0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
        /// TLS 1.2.
        ECDHE_RSA_CHACHA20_POLY1305_SHA256 = 0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256";
    }
}

registry! {
    /// A group in which keys are exchanged.
    Group {
        /// P-256.
        SECP256R1 = 0x0017, "secp256r1";
        /// P-384.
        SECP384R1 = 0x0018, "secp384r1";
        /// Curve25519.
        X25519 = 0x001d, "x25519";
        /// ML-KEM-768 with X25519, which holds against quantum computers too. Not with the feature `ring` alone.
        X25519_MLKEM768 = 0x11ec, "X25519MLKEM768";
    }
}

/// A fact: the certificates that the peer has presented, its own first. On a server they are there when the client has proved
/// that it has the key of the first. Of a session that goes on they are those of its beginning.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerCertificates {
    chain: Arc<[CertificateDer<'static>]>,
}

impl PeerCertificates {
    /// The certificates in DER.
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.chain.iter().map(AsRef::as_ref)
    }

    /// The peer's own, in DER.
    #[must_use]
    pub fn leaf(&self) -> &[u8] {
        self.chain.first().map_or(&[], AsRef::as_ref)
    }

    /// Whom the peer's own is for, as it says: `CN=example.com, O=Example`.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        x509::subject(self.leaf())
    }

    pub(crate) fn as_der(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(crate) fn of(tls: &Connection) -> Option<Self> {
        tls.peer_certificates().filter(|chain| !chain.is_empty()).map(|chain| Self { chain: chain.into() })
    }
}

impl fmt::Debug for PeerCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerCertificates")
            .field("subject", &self.subject())
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}
