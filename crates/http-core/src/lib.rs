//! HTTP/1.0 and 1.1: a codec without IO, a server and a client's sessions on top of it.
//!
//! Use it to serve or to send HTTP/1 on connections that you have, or to read and write messages without any. It
//! dials nothing, keeps no connections and follows no redirects: for requests to URIs take `chaski-client`, which stands on
//! [`Http1Connector`].
//!
//! # The parts
//!
//! - [`codec`] turns bytes into messages and back: strict, incremental, without a runtime. The rest needs the feature
//!   `tokio`, which is on by default.
//! - [`Http1Server`] is an acceptor: a service of connections that calls a service of requests, one after the other.
//! - [`Http1Connector`] turns a connector into one whose connections are [`Http1Session`]s, which are services of requests.
//! - [`HeaderLayout`] is a fact, recorded on request: the order and the case of a message's fields on the wire.
//!
//! Whoever is at work owns the connection, and there is no background task: the server's task runs its service and writes
//! its answers; a request's and a response's body read the socket when they are polled.
//!
//! # Example
//!
//! ```
//! use chaski_core::{
//!     BoxError, Conn, Service,
//!     http::{Body, Message, Request, Response},
//!     service_fn,
//! };
//! use chaski_http_core::{HeaderLayout, Http1ClientConfig, Http1Server, Http1ServerConfig, Http1Session};
//!
//! # async fn example() -> Result<(), BoxError> {
//! let names = service_fn(async |request: Request| {
//!     let layout = request.fact::<HeaderLayout>().ok_or("not recorded")?;
//!     let names: Vec<&str> = layout.names().collect();
//!     Ok::<_, BoxError>(Response::new(Body::full(names.join(" "))))
//! });
//! let server = Http1Server::new(names).with_config(Http1ServerConfig::default().with_header_layout(true));
//! let (near, far) = tokio::io::duplex(1024);
//! let client = async {
//!     let session = Http1Session::new(Conn::new(near), Http1ClientConfig::default());
//!     let mut request = http::Request::get("http://a/").header("accept", "*/*").body(Body::empty())?;
//!     request.scope().insert(HeaderLayout::from_names(["ACCEPT", "Host"])?);
//!     let response = session.serve(request).await?;
//!     assert_eq!(response.into_body().collect(100).await?, "ACCEPT Host");
//!     Ok::<_, BoxError>(())
//! };
//! let (served, asked) = tokio::join!(server.serve(Conn::new(far)), client);
//! asked?;
//! served?;
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Cancellation
//!
//! Dropping the server's future closes the connection. Dropping a request's future, or a response's body before its end,
//! closes the session's connection, unless nothing was written yet.
//!
//! # Limits
//!
//! | bound | default | knob |
//! |---|---|---|
//! | a head, its fields, its target | 64 KiB, 100, 16 KiB | [`HeadConfig`](codec::HeadConfig) |
//! | extensions of a chunk and of a body, trailers | 1 KiB and 16 KiB, 16 KiB and 100 | [`BodyConfig`](codec::BodyConfig) |
//! | how long a client may take, for each phase; what is drained of an unread body | | [`Http1ServerConfig`] |
//! | how long a server may take, for each phase; informational responses | | [`Http1ClientConfig`] |
//! | requests of a pipeline that are served before other tasks have their turn | 64 | fixed |
//! | bytes that wait to be written, or were read ahead | 64 KiB, 8 KiB and one read | fixed, see [`Http1Server`] and [`Http1Session`] |
//!
//! The length of a body is the application's to limit.
//!
//! # Specification
//!
//! | section | what | status |
//! |---|---|---|
//! | RFC 9112 | syntax and framing | see [`codec`] |
//! | RFC 9112 section 9.3 | persistence, pipelining | done; a client sends one request at a time |
//! | RFC 9112 section 9.6 | closing | done: the server goes on reading for a while behind its last answer |
//! | RFC 9110 section 6.5 | trailers | both ways; their order and case are not recorded |
//! | RFC 9110 section 7.8 | Upgrade | done: bytes ahead of the 101 wait for it; without one they are HTTP |
//! | RFC 9110 section 9.3.6, RFC 9931 | CONNECT | done: a refused tunnel is the last answer on its connection |
//! | RFC 9110 section 10.1.1 | Expect | done: the server asks when the body is read, a client waits for a bounded time; other expectations get 417 |
//! | RFC 9110 section 15.2 | informational responses | done, never to HTTP/1.0 |
//! | RFC 9110 section 5.3 | the order of fields | that of one name is kept; all of it on request |

pub mod codec;
#[cfg(feature = "tokio")]
mod connector;
#[cfg(feature = "tokio")]
mod engine;
#[cfg(feature = "tokio")]
mod server;

pub use codec::HeaderLayout;
#[cfg(feature = "tokio")]
pub use connector::{Http1ClientConfig, Http1Connector, Http1Error, Http1Session};
#[cfg(feature = "tokio")]
pub use server::{Http1Server, Http1ServerConfig, Http1ServerError, RequestBodyError};
