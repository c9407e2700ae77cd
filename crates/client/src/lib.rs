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
//! 2. An idle connection of that key is taken if it is still alive; else, where
//!    [`with_coalescing`](ClientConfig::with_coalescing) says so, one to another host whose server proves to be this one too.
//!    Else the call dials, as far as the limits allow, or waits for its turn; and in both cases it takes a connection of its key
//!    that another call gives back first. The dial's scope is a child of the request's.
//! 3. The session sends the request. When a *reused* connection fails before any byte of a response, and either nothing
//!    was sent or the request is idempotent and its body is in hand, it goes out once more, on a fresh connection. What the
//!    peer of a *shared* connection did not process goes out again, there or on another one. One
//!    with `Expect: 100-continue` that is answered with 417 goes out once more without that, and one that was answered with 421
//!    on a connection to another host on one of its own.
//! 4. The response is handed over. The connection is handed to the call that has waited longest, or kept, when the response's
//!    body has ended and the session says that it is open with a free slot; it is dropped otherwise.
//!
//! [`Client::stats`] counts what became of connections, and [`ConnectionReuse`], a fact on each response, tells how its own
//! was come by.
//!
//! # The pool
//!
//! A call that finds an idle connection locks a sixteenth of the pool twice, for a few instructions: to take the connection, and to
//! give it back. Nothing is locked while a dial, a request or a session is under way.
//!
//! Connections are opened in the order in which calls came, over all keys. At the limit in all the connection that was idle
//! longest is closed for who waits; and one that was given back while others wait for it is closed all the same, once as many
//! calls as there are places have overtaken a call for another target. So a target that is asked all the time keeps nobody out,
//! unless its sessions are shared. Sessions that requests share (HTTP/2) take as many of those who wait as they have slots for;
//! one dial is then made at a time for a key, a second one when the slots have run out. Slots that a peer adds of its own
//! accord are noticed within a second.
//!
//! A connection to another host is looked for once, when a call comes and finds none of its own key, and only there is a lock
//! that all keys share taken. It belongs to the key that it was made for: whoever waits for one of that key goes first, and a
//! slot that becomes free is offered to no other.
//!
//! One task for each client closes what nobody uses: at its idle timeout, at its age, and when its peer closes it or sends what
//! nobody asked for, which is seen at once after the first second of being idle. It begins with the first connection that is
//! kept, and ends when it finds none, or with the client. Without a tokio runtime there is none, and what has expired goes when one
//! of its key is wanted, or with [`Client::close_idle`]. The runtime needs its timer.
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
//!     fn changed(&self) -> impl Future<Output = ()> + Send + 'static { std::future::pending() }
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
//! Dropping the future of a call cancels its wait or its request. Its dial goes to the call that has waited longest for a
//! connection of the same key and has none; without one it is cancelled. A connection that a request had to itself is closed
//! once something of the request was sent; one that is shared stays. Dropping a response before the end of its body does the
//! same.
//!
//! # Limits
//!
//! All but the last six are set with [`ClientConfig`].
//!
//! | what | default | beyond it |
//! |---|---|---|
//! | open connections in all, dials included | [`DEFAULT_MAX_CONNECTIONS`](ClientConfig::DEFAULT_MAX_CONNECTIONS) | the oldest idle one is closed, else the call waits |
//! | open connections of a key | none but that in all | the call waits |
//! | calls that wait | [`DEFAULT_MAX_WAITING`](ClientConfig::DEFAULT_MAX_WAITING) | the call fails at once, [`ClientErrorKind::Limit`] |
//! | kept connections in all | [`DEFAULT_MAX_IDLE`](ClientConfig::DEFAULT_MAX_IDLE) | the one kept longest is closed |
//! | kept connections of a key | [`DEFAULT_MAX_IDLE_PER_KEY`](ClientConfig::DEFAULT_MAX_IDLE_PER_KEY) | the one kept longest is closed |
//! | time that a connection is kept | [`DEFAULT_IDLE_TIMEOUT`](ClientConfig::DEFAULT_IDLE_TIMEOUT) | it is closed |
//! | age of a connection | none; [`MAX_AGE_JITTER_PERCENT`](ClientConfig::MAX_AGE_JITTER_PERCENT) more or less | it is drained |
//! | time of the wait for a connection, or for the turn to dial | [`DEFAULT_WAIT_TIMEOUT`](ClientConfig::DEFAULT_WAIT_TIMEOUT) | the call fails |
//! | time of a dial | [`DEFAULT_CONNECT_TIMEOUT`](ClientConfig::DEFAULT_CONNECT_TIMEOUT) | the call fails |
//! | time to the head of the response | none | the call fails |
//! | repetitions on a fresh connection | 1 | the call fails |
//! | repetitions of what the peer of a shared connection did not process | [`MAX_UNPROCESSED`](ClientConfig::MAX_UNPROCESSED) | the call fails |
//! | repetitions without an expectation | 1 | the caller gets the 417 |
//! | repetitions of what a connection to another host was not meant for | 1 | the caller gets the 421 |
//! | connections that may carry requests for other hosts | [`MAX_COALESCING_CONNECTIONS`](ClientConfig::MAX_COALESCING_CONNECTIONS) | the one made first is for its own host alone |
//! | other hosts of a connection in its life | [`MAX_COALESCED_HOSTS`](ClientConfig::MAX_COALESCED_HOSTS) | one more is dialed |
//!
//! # Specification
//!
//! | section | what | where |
//! |---|---|---|
//! | RFC 9110 4.2.4 | userinfo in a URI is refused | `target.rs` |
//! | RFC 9110 4.3.3, RFC 9113 9.1.1 | a connection carries requests for another host if its server proves to be that, and a policy agrees | `pool/coalesce.rs` |
//! | RFC 9110 9.2.2 | only idempotent requests are repeated | `replay.rs` |
//! | RFC 9110 10.1.1 | a request whose expectation is refused is repeated without it | `expect.rs` |
//! | RFC 9110 15.5.20 | a request that was misdirected is repeated on another connection, whatever its method | `client.rs` |
//! | RFC 9112 9.3.1 | a request is repeated on a reused connection only, and once | `client.rs` |
//! | RFC 9113 8.7 | what a peer says it did not process is sent again | `client.rs` |

mod client;
mod config;
mod error;
mod expect;
mod kept;
mod pool;
mod replay;
mod reuse;
mod stats;
mod target;

pub use client::Client;
pub use config::ClientConfig;
pub use error::{ClientError, ClientErrorKind};
pub use reuse::ConnectionReuse;
pub use stats::PoolStats;
