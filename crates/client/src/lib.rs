//! An HTTP client over any connector that makes sessions.
//!
//! [`Client`] is a `Service<Request<Body>>` on top of a `Service<Connect>` whose output is a
//! [`Session`](chaski_core::Session): an HTTP handshake around TLS around TCP, or a mock in memory. It chooses where to
//! connect, keeps the connections that become idle, and sends a request a second time only where that cannot do harm.
//! It speaks no protocol of its own, and follows no redirects and keeps no cookies: those are layers.
//!
//! Use it for anything that sends HTTP requests, and as the upstream side of a proxy. To hold one connection in your own
//! hands, use the handshake without it.
//!
//! # How a request travels
//!
//! 1. The URI, which has to be absolute, gives target and [`Protocol`](chaski_core::Protocol); a
//!    [`Route`](chaski_core::Route) in the request's `http` extensions adds the choices made for the dial. Together they
//!    are the key under which connections are kept.
//! 2. An idle connection of that key is taken if it is still alive, else the connector makes one. The dial's scope is a
//!    child of the request's.
//! 3. The session sends the request. When a *reused* connection fails before any byte of a response, and either nothing
//!    was sent or the request is idempotent and its body is in hand, it goes out once more, on a fresh connection.
//! 4. The response is handed over. The connection is kept again when the response's body has ended and the session says
//!    that it is open with a free slot, and dropped otherwise.
//!
//! # Example
//!
//! ```
//! use chaski_client::Client;
//! use chaski_core::{
//!     Connect, ConnectError, Extensions, SendError, Service, Session, SessionState, Slots,
//!     http::{Body, Request, Response},
//!     service_fn,
//! };
//!
//! /// What an HTTP handshake gives; here without a connection.
//! struct Echo(Extensions);
//!
//! impl Service<Request<Body>> for Echo {
//!     type Output = Response<Body>;
//!     type Error = SendError<Request<Body>>;
//!     async fn serve(&self, request: Request<Body>) -> Result<Response<Body>, SendError<Request<Body>>> {
//!         Ok(Response::new(Body::full(request.uri().path().to_owned())))
//!     }
//! }
//!
//! impl Session<Request<Body>> for Echo {
//!     fn slots(&self) -> Slots { Slots { free: 1, shared: false } }
//!     fn state(&self) -> SessionState { SessionState::Open }
//!     async fn changed(&self) { std::future::pending().await }
//!     fn scope(&self) -> &Extensions { &self.0 }
//!     fn drain(&self) {}
//! }
//!
//! # async fn example() -> Result<(), chaski_core::BoxError> {
//! let client = Client::new(service_fn(async |connect: Connect| {
//!     assert_eq!(connect.target.to_string(), "example.com:80");
//!     Ok::<_, ConnectError>(Echo(Extensions::new()))
//! }));
//!
//! let request = http::Request::get("http://example.com/hello").body(Body::empty())?;
//! let response = client.serve(request).await?;
//! assert_eq!(response.into_body().collect(1024).await?, "/hello");
//! assert_eq!(client.idle(), 1, "the connection is kept for the next request");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Cancellation
//!
//! Dropping the future of a call cancels the dial or the request. A connection that a request had to itself is closed
//! then; one that is shared stays. Dropping a response before the end of its body does the same.
//!
//! # Limits
//!
//! All in [`ClientConfig`]: idle connections for each key and in all, how long one is kept, how long a dial may take, and
//! how long a response may keep a caller waiting (unlimited unless set). A connection that expired is noticed when one of
//! its key is wanted; those of other keys, four at most, whenever one is kept. Without any traffic they stay until
//! [`Client::close_idle`] or the end of the client.
//!
//! # Specification
//!
//! | section | what | where |
//! |---|---|---|
//! | RFC 9110 4.2.4 | userinfo in a URI is refused | `target.rs` |
//! | RFC 9110 9.2.2 | only idempotent requests are repeated | `replay.rs` |
//! | RFC 9112 9.3.1 | a request is repeated on a reused connection only, and once | `client.rs` |

mod client;
mod config;
mod error;
mod kept;
mod pool;
mod replay;
mod target;

pub use client::Client;
pub use config::ClientConfig;
pub use error::{ClientError, ClientErrorKind};
