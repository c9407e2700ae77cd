//! HTTP/2 on connections that you have: a server and a client's sessions on h2, and what is known of a server's clients.
//!
//! Use it to speak HTTP/2 where the protocol is known: by ALPN under TLS, by the preface in clear. It accepts and dials nothing
//! and decides no protocol; for requests to URIs take `chaski-client`, which stands on [`Http2Connector`].
//!
//! # The parts
//!
//! - [`Http2Server`] is an acceptor: a service of connections that calls a service of requests, many at a time.
//! - [`Http2Connector`] turns a connector into one whose connections are [`Http2Session`]s, which are services of requests, as
//!   many at a time as the peer allows.
//! - [`ConnectProtocol`] is a fact: what an extended CONNECT request asks for, of a server's service or of a client's session.
//! - [`ErrorCode`] names why a stream or a connection was ended.
//! - [`Http2Fingerprint`] is a fact: how a client opened its connection, by its settings, its window, its priorities and the
//!   order of its pseudo-header fields. A [`FingerprintReader`] reads it, without IO; a [`FingerprintTap`] around a
//!   connection leaves it there.
//!
//! # Example
//!
//! ```
//! use chaski_core::{
//!     BoxError, Conn, Service,
//!     http::{Body, Request, Response},
//!     service_fn,
//! };
//! use chaski_http2::{Http2ClientConfig, Http2Server, Http2Session};
//!
//! # async fn example() -> Result<(), BoxError> {
//! let server = Http2Server::new(service_fn(async |request: Request| {
//!     Ok::<_, BoxError>(Response::new(Body::full(request.uri().path().to_owned())))
//! }));
//! let (near, far) = tokio::io::duplex(1024);
//! let client = async {
//!     let session = Http2Session::handshake(Conn::new(near), Http2ClientConfig::default()).await?;
//!     let get = |uri| http::Request::get(uri).body(Body::empty());
//!     // Both at once, on the one connection.
//!     let (first, second) = (get("http://localhost/first")?, get("http://localhost/second")?);
//!     let (first, second) = tokio::try_join!(session.serve(first), session.serve(second))?;
//!     assert_eq!(first.into_body().collect(100).await?, "/first");
//!     assert_eq!(second.into_body().collect(100).await?, "/second");
//!     Ok::<_, BoxError>(())
//! };
//! let (served, asked) = tokio::join!(server.serve(Conn::new(far)), client);
//! asked?;
//! served?;
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! And a fingerprint:
//!
//! ```
//! use chaski_core::Conn;
//! use chaski_http2::{FingerprintTap, Http2Fingerprint};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
//!
//! # async fn example() -> std::io::Result<()> {
//! let (mut client, server) = duplex(1024);
//! let mut conn = FingerprintTap::tap(Conn::new(server));
//! client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
//! client.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x02\0\0\0\0").await?;
//! client.write_all(b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84").await?;
//!
//! // Here a server would read.
//! conn.io.read_exact(&mut [0; 51]).await?;
//! let fingerprint = conn.ext.get::<Http2Fingerprint>().unwrap();
//! assert_eq!(fingerprint.to_string(), "2:0|00|0|m,s,p");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Cancellation
//!
//! Dropping the server's future closes the connection and drops all calls to its service. Dropping a request's future, or a
//! response's body before its end, resets that stream and leaves the session as it is.
//!
//! # Limits
//!
//! | bound | default | knob |
//! |---|---|---|
//! | streams at a time; resets, and frames of no use, of a client in 10 seconds | 100; 200, 1000 | [`Http2ServerConfig`] |
//! | the fields of a head, the table of header compression | 64 KiB, 4 KiB | [`Http2ServerConfig`]; fixed |
//! | unread bodies of requests, on a stream and on a connection | 256 KiB, 1 MiB; both up to 4 MiB for clients that are far away | [`Http2ServerConfig`] |
//! | answers that wait to be written, of a stream; streamed ones, of a connection | 1 MiB, 1 MiB | [`Http2ServerConfig`] |
//! | how long a client may take, for each phase | | [`Http2ServerConfig`] |
//! | unread responses, of a stream and of a connection; the fields of a head | 1 MiB, 16 MiB; 64 KiB | [`Http2ClientConfig`] |
//! | streamed requests that wait to be written, of a connection | 1 MiB | fixed |
//! | frames of no use, of a server in 10 seconds | 1000 | [`Http2ClientConfig`] |
//! | how long a server may take, for each phase; informational responses | | [`Http2ClientConfig`] |
//! | what is polled, taken in and read of a connection before others have their turn | 128 calls, 64 streams, 256 KiB | fixed |
//! | bytes, settings and priority frames of a fingerprint | [`FingerprintReader::MAX_BYTES`], [`FingerprintReader::MAX_SETTINGS`], [`FingerprintReader::MAX_PRIORITIES`] | fixed; beyond them there is none |
//!
//! The length of a body is the application's to limit.
//!
//! # Specification
//!
//! | section | what | status |
//! |---|---|---|
//! | RFC 9113 sections 3 to 7 | frames, streams, flow control | h2's, but for a window of more than 2^31 - 1 among the settings, and for the floods of section 10.5, both refused before it sees them |
//! | RFC 9113 section 6.8 | GOAWAY | in two steps when the server shuts down; a client gives back what was not processed |
//! | RFC 9113 section 8.1.1 | malformed messages | reset, see [`Http2Server`]; pseudo-header fields in trailers are passed over by h2 |
//! | RFC 9113 section 8.2.2 | fields of a connection | taken out of what a client sends |
//! | RFC 9113 section 8.2.3 | cookies | joined for services; split by clients that ask for it |
//! | RFC 9113 section 8.4 | server push | not done |
//! | RFC 9113 section 8.5 | CONNECT | a stream becomes an upgraded connection; each direction ends by itself |
//! | RFC 8441 | extended CONNECT | done, if it is switched on, or the client's peer offers it; the protocol is a fact, [`ConnectProtocol`] |
//! | RFC 9110 section 6.5 | trailers | both ways |
//! | RFC 9110 section 10.1.1 | Expect | the server asks when the body is read, a client waits for a bounded time; other expectations get 417 |
//! | RFC 9110 section 15.2 | informational responses | sent on connections that have facts; a client reports them |

mod client;
mod code;
mod connect_protocol;
mod engine;
mod error;
mod fingerprint;
mod server;

pub use client::{Http2ClientConfig, Http2Connector, Http2Error, Http2Session};
pub use code::ErrorCode;
pub use connect_protocol::ConnectProtocol;
pub use error::Http2BodyError;
pub use fingerprint::{FingerprintReader, FingerprintTap, Http2Fingerprint, PseudoHeader, Reading, StreamPriority};
pub use server::{Http2Server, Http2ServerConfig, Http2ServerError};
