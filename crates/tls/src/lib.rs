//! TLS 1.2 and 1.3 as layers: an acceptor that ends TLS, a connector that begins it, what both have to trust, and what clients
//! say first.
//!
//! Use it to put TLS between connections and whatever is spoken on them, on either side, or to look at TLS connections: whom a
//! client wants to talk to, what it is able to do, what program it is. It dials nothing, listens to nothing and knows no HTTP.
//! The protocol itself is [rustls](https://docs.rs/rustls)'s.
//!
//! # The parts
//!
//! - [`AcceptLayer`] ends TLS: [`Acceptor`] is a service of connections that calls a service of [`TlsStream`]s.
//! - [`ConnectLayer`] begins it: [`Connector`] is a connector around another, whose connections are [`MaybeTls`].
//! - [`ServerConfig`] and [`ClientConfig`] are the settings, compiled once and replaced while running.
//! - [`CertifiedKey`] is a certificate with its key, [`Certificates`] who has the certificates of a server, [`Roots`] and
//!   [`SpkiPin`] whom to trust.
//! - [`CertificateDirectory`] reads certificates from a folder, by name, and reads them again.
//! - `CertificateAuthority` and `CertifiedKey::self_signed` (feature `issuing`) make certificates.
//! - [`Negotiated`], [`PeerCertificates`] and, on a client, [`ServerIdentity`](chaski_core::ServerIdentity) are facts about a
//!   connection, [`HandshakeStats`] counts of all.
//! - [`KeyLog`] makes recorded connections readable, for those who look for mistakes.
//! - [`TlsError`] says what went wrong, with whose certificate.
//! - [`hello`] turns the first bytes of a TLS connection into a [`ClientHello`](hello::ClientHello): server name, ALPN,
//!   versions, cipher suites, extensions in order, groups, and the fingerprints JA3 and JA4. It does no IO and needs no
//!   runtime. It needs no TLS library either: without features it is all there is.
//! - [`PeekTlsLayer`] reads the hello of a connection and hands the connection on from its first byte, with the hello as a fact.
//! - [`SniRouter`] hands connections to services by the name of the server, without ending TLS.
//! - `AuthorityLayer` (feature `http`) answers requests for another server than their connection's with 421.
//!
//! # Example
//!
//! ```
//! # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))] {
//! use chaski_core::{BoxError, Conn, Connect, ConnectError, HostPort, Protocol, Service, service_fn, stack};
//! use chaski_tls::{AcceptLayer, CertifiedKey, ClientConfig, ConnectLayer, Negotiated, Roots, ServerConfig, TlsStream};
//! use std::sync::Arc;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
//!
//! # async fn example() -> Result<(), BoxError> {
//! # const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/keys");
//! # let (chain, key) = (format!("{KEYS}/p256-cert.pem"), format!("{KEYS}/p256.pem"));
//! let identity = CertifiedKey::from_files(&chain, &key)?;
//! let server = Arc::new(stack(
//!     AcceptLayer::new(ServerConfig::new(identity).with_alpn(["greeting"]))?,
//!     service_fn(async |mut conn: Conn<TlsStream<DuplexStream>>| {
//!         conn.io.write_all(b"hello").await?;
//!         conn.io.shutdown().await
//!     }),
//! ));
//!
//! // A client whose every connection leads to that server, through memory.
//! let dial = service_fn(move |_: Connect| {
//!     let (near, far) = duplex(4096);
//!     let server = Arc::clone(&server);
//!     tokio::spawn(async move { server.serve(Conn::new(far)).await });
//!     std::future::ready(Ok::<_, ConnectError>(Conn::new(near)))
//! });
//! let roots = Roots::from_file(&chain)?;
//! let client = stack(ConnectLayer::new(ClientConfig::new(roots).with_alpn(["greeting"]))?, dial);
//!
//! let target: HostPort = "p256.example:443".parse()?;
//! let mut conn = client.serve(Connect::new(target).with_protocol(Protocol::Https)).await?;
//! let mut text = String::new();
//! conn.io.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! assert_eq!(conn.ext.get::<Negotiated>().and_then(Negotiated::alpn), Some(&b"greeting"[..]));
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! # }
//! ```
//!
//! # Features
//!
//! The cryptography is that of aws-lc-rs (`aws-lc-rs`, the default) or of ring (`ring`, which builds faster and has no
//! post-quantum key exchange). With both, it is aws-lc-rs.
//!
//! # Cancellation
//!
//! Dropping a handshake's future drops the connection. A [`TlsStream`] is as cancel safe as a socket.
//! A connection whose hello is read is dropped with the future that reads.
//!
//! # Limits
//!
//! | bound | default | knob |
//! |---|---|---|
//! | a ClientHello with the headers of its records | [`ClientHelloDecoder::DEFAULT_LIMIT`](hello::ClientHelloDecoder::DEFAULT_LIMIT) | `with_limit` |
//! | time until a hello is there | [`PeekTlsLayer::DEFAULT_TIMEOUT`] | `with_timeout` |
//! | a handshake, from its begin to its end | 10 s | [`ServerConfig::handshake_timeout`], [`ClientConfig::handshake_timeout`] |
//! | handshakes under way on a server | 1,024 | [`ServerConfig::max_handshakes`] |
//! | a message of the handshake | 64 KiB | fixed, by the library |
//! | encrypted bytes that wait to be written | 64 KiB | fixed, by the library |
//! | what an idle connection of a server holds: 4 KiB are the library's buffer | 7.5 KiB, with a client's certificate 8.5 KiB | fixed |
//! | how long a refused client is read on from, and what is read | 1 s, 64 KiB | fixed, see [`AcceptLayer`] and [`SniRouter`] |
//! | how long shutting down may take | 10 s | fixed, [`TlsStream::CLOSE_TIMEOUT`] |
//! | servers whose sessions a client remembers | 256, with 8 sessions each | fixed |
//! | sessions of TLS 1.2 that a server remembers for clients without tickets | 256 | fixed, by the library |
//! | a file of certificates or keys | 16 MiB | fixed |
//! | certificates that an authority keeps | 1,024 | `CertificateAuthority::with_kept` |
//!
//! # Specification
//!
//! | section | what | status |
//! |---|---|---|
//! | RFC 8446, RFC 5246 | TLS 1.3 and 1.2 | by rustls. No early data, no renegotiation, no compression |
//! | RFC 8446 section 6.1 | closure | done: `close_notify` is always sent, and an end without it is an error of its own |
//! | RFC 8446 section 6.2 | alerts | done: sent, and told with their names |
//! | RFC 6066 section 3 | server name | done: names without the last dot, no addresses; `unrecognized_name` when there is no certificate |
//! | RFC 7301 | ALPN | done |
//! | RFC 5280 section 4.2.1 | extensions of certificates | in those made here: names (with wildcards and addresses), identifiers of keys, constraints, usages; no revocation |
//! | RFC 5280 section 5 | lists of revoked certificates | those that are given; none is fetched, and OCSP is not asked |
//! | RFC 7468 | PEM | certificates, keys, lists of revoked certificates; strict within sections |
//! | RFC 7469 section 2.4 | pins | the hash of a key; those of a client's settings, not of a header |
//! | RFC 9325 | what is safe to use | done: no version below 1.2, no suite without forward secrecy |
//! | RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2 | ClientHello | read, also without extensions; the SSL 2.0 form is not |
//! | RFC 8446 section 5.1 | records | a hello may be spread over several; empty and too long ones are refused |
//! | RFC 6066 section 3 | server name | read; what is no DNS name is kept as bytes alone. `unrecognized_name` when there is no route |
//! | RFC 9525 section 6.3 | wildcards | one label, the first, in the names of routes |
//! | RFC 9113 section 9.1.1 | a server of several hosts | all that is asked of a server on a new connection is asked again for another host, `verify/server.rs` |
//! | RFC 9110 section 15.5.20 | 421 | by `AuthorityLayer`: the host of a request against the name in the hello and the target of the tunnel |
//! | RFC 7301 section 3.1 | ALPN | read |
//! | RFC 8701 | GREASE | known, and left out of fingerprints |
//! | RFC 9849 section 5 | encrypted ClientHello | that there is one is seen |
//! | JA3 | client fingerprint | text and MD5 |
//! | JA4 | client fingerprint of TLS over TCP | JA4, JA4_r, JA4_o, JA4_ro; none of JA4S, JA4H and the rest |

pub mod hello;
#[cfg(feature = "tokio")]
mod names;
#[cfg(feature = "tokio")]
mod peek;
#[cfg(feature = "tokio")]
mod refusal;
#[cfg(feature = "tokio")]
mod router;

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod acceptor;
#[cfg(feature = "tokio")]
mod alert;
#[cfg(feature = "http")]
mod authority;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod certificates;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod config;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod connector;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod error;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod facts;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod handshake;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod key_log;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod provider;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod roots;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod stats;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod stream;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod verify;

#[cfg(feature = "http")]
pub use self::authority::{AuthorityLayer, AuthorityMismatch, CheckAuthority};
#[cfg(all(feature = "issuing", any(feature = "aws-lc-rs", feature = "ring")))]
pub use self::certificates::{CertificateAuthority, IssueError};
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use self::{
    acceptor::{AcceptLayer, Acceptor},
    certificates::{CertificateDirectory, Certificates, CertifiedKey, LoadError, LoadErrorCause},
    config::{ClientAuth, ClientConfig, ConfigError, ServerConfig, TlsVersions},
    connector::{ConnectLayer, Connector},
    error::{CertificateFault, Common, TlsError},
    facts::{CipherSuite, Group, Negotiated, PeerCertificates, TlsVersion},
    key_log::KeyLog,
    roots::Roots,
    stats::HandshakeStats,
    stream::{MaybeTls, TlsStream},
    verify::{PinParseError, SpkiPin},
};
#[cfg(feature = "tokio")]
pub use self::{
    alert::Alert,
    names::NameError,
    peek::{PeekTls, PeekTlsError, PeekTlsLayer},
    router::{NoRoute, SniRouter},
};
