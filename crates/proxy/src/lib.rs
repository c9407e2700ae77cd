//! HTTP proxy services: forwarding, tunnels, authentication, and rules on where a client may get to.
//!
//! Use it to build a forward proxy of your own from parts. For one that is ready to run, take `chaski proxy`; to put a
//! proxy in front of a server of yours, wait for the reverse proxy.
//!
//! # The parts
//!
//! - [`ForwardProxy`]: a service over requests. One with an absolute `http` URI goes on through an HTTP client; CONNECT
//!   becomes a [`Tunnel`]. Client, dialer and relay are services that the proxy is given: it opens no connection itself.
//! - [`ProxyAuthLayer`]: lets through the [`Users`] it is given, a list of [`Credentials`], a [`UsersFile`] with hashed
//!   passwords, or both; others get 407. It stands outside of the proxy.
//! - [`CallerLimitLayer`]: bounds what one user, or one address, has under way; beyond that the answer is 429.
//! - [`Rules`]: the address policy, asked by the dialers just before they connect: a list of [`Rule`]s, of which the first
//!   that matches decides. What none matches is allowed if it is public.
//! - [`HttpProxyConnector`]: the other side, a connector that goes through the [`HttpProxy`] which the route of a dial names.
//! - [`Pseudonym`]: the name in Via, by which the proxy knows its own requests when they come back, and in Proxy-Status.
//!
//! # Example
//!
//! ```
//! use chaski_core::{
//!     AddressPolicy, BoxIo, Bridge, Candidate, Conn, Connect, ConnectError, ConnectStage, Service, Target,
//!     http::{Body, Request, Response, Upgrade},
//!     service_fn, service_fn_with, stack,
//! };
//! use chaski_proxy::{ForwardProxy, ProxyAuthLayer, Rules};
//! use std::{convert::Infallible, sync::Arc};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // A server that tells what reached it, in place of a client with connections behind it.
//! let client = service_fn(async |request: Request| {
//!     let host = request.headers()["host"].clone();
//!     assert!(!request.headers().contains_key("proxy-authorization"));
//!     Ok::<_, Infallible>(Response::new(Body::full(host.as_bytes().to_vec())))
//! });
//! // A dialer that asks the rules, as every dialer does, and finds a server that says `hello`.
//! let rules = Arc::new(Rules::public_only().with_rule("allow 10.0.0.0/8:22".parse()?));
//! let dialer = service_fn_with(rules, async |rules: Arc<Rules>, connect: Connect| {
//!     let addr = connect.target.to_string().parse().map_err(|_| ConnectError::new(ConnectStage::Resolve))?;
//!     let refused = |reason| ConnectError::new(ConnectStage::Policy).with_source(reason);
//!     rules.check(&Candidate::new(None, addr)).map_err(refused)?;
//!     let (mut server, io) = duplex(64);
//!     server.write_all(b"hello").await.map_err(|error| ConnectError::new(ConnectStage::Dial).with_source(error))?;
//!     Ok::<_, ConnectError>(Conn::new(io))
//! });
//! let relay = service_fn(async |mut bridge: Bridge<BoxIo, DuplexStream>| {
//!     tokio::io::copy(&mut bridge.b.io, &mut bridge.a.io).await
//! });
//! let proxy = stack(
//!     ProxyAuthLayer::new(["ana:secret".parse()?]),
//!     ForwardProxy::new(client, dialer, relay),
//! );
//! let ask = |method, uri| {
//!     let basic = "Basic YW5hOnNlY3JldA==";
//!     Request::builder().method(method).uri(uri).header("proxy-authorization", basic).body(Body::empty())
//! };
//!
//! // Forwarding.
//! let response = proxy.serve(ask("GET", "http://example.com:8080/")?).await?;
//! assert_eq!(response.into_body().collect(100).await.unwrap(), "example.com:8080");
//!
//! // A tunnel: the engine that sends the response runs what it carries.
//! let mut response = proxy.serve(ask("CONNECT", "10.0.0.1:22")?).await?;
//! assert_eq!(response.status(), 200);
//! let (mut client, io) = duplex(64);
//! Upgrade::detach(&mut response).ok_or("no tunnel")?.run(Conn::new(Box::new(io))).await;
//! let mut text = String::new();
//! client.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//!
//! // Nothing private that no rule allows.
//! let response = proxy.serve(ask("CONNECT", "169.254.169.254:80")?).await?;
//! assert_eq!(response.status(), 403);
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # What it answers itself
//!
//! | request, or what became of it | answer | `error` in Proxy-Status |
//! |---|---|---|
//! | no absolute URI; `https` in one, which is for CONNECT; userinfo; a host that is none | 400 | `http_request_error` |
//! | CONNECT without a port, or with content | 400 | `http_request_error` |
//! | Connection names a field for all recipients, such as Host | 400 | `http_request_error` |
//! | the request's body is malformed or breaks off; it stalls | 400; 408 | `http_request_error` |
//! | the rules refuse the name; an address | 403 | `http_request_denied`; `destination_ip_prohibited` |
//! | no valid credentials | 407 | `http_request_denied` |
//! | the caller has too much under way | 429 | `http_request_denied` |
//! | too many passwords wait to be verified | 503 | `proxy_internal_response` |
//! | the system gives the proxy no further file or memory for a connection | 503 | `proxy_internal_error` |
//! | another scheme than `http` | 501 | `proxy_internal_response` |
//! | the target's name cannot be resolved | 502 | `dns_error` |
//! | it cannot be connected | 502 | `connection_refused`, `connection_terminated`, `connection_timeout`, `destination_ip_unroutable`, `destination_unavailable` |
//! | a handshake failed | 502 | `tls_protocol_error`, `http_protocol_error` |
//! | the connection ended before a response | 502 | `connection_terminated` |
//! | the response cannot be understood; it asks for proxy credentials | 502 | `http_protocol_error` |
//! | a time limit passed while resolving; connecting; waiting for the response | 504 | `dns_timeout`; `connection_timeout`; `http_response_timeout` |
//! | the request was here before, or is for an address of the proxy itself | 508 | `proxy_loop_detected` |
//! | the client's limit of connections, and of calls that wait for one | 503 | `connection_limit_reached` |
//! | the dialer is not set up for it | 500 | `proxy_configuration_error` |
//! | TRACE or OPTIONS with `Max-Forwards: 0`, `OPTIONS *` | 200 | |
//!
//! Each but the last has one line of text, which tells what the client asked for and never the address behind a name.
//! Proxy-Status (RFC 9209) has the same line as `details`, and names the proxy by its [`Pseudonym`]. On a response that is
//! handed on, this proxy adds itself to the Proxy-Status of others, last, with the status that it received; it begins none.
//!
//! Upgrade in absolute-form is not passed on (RFC 9110 section 7.8 lets a recipient ignore it): the request goes as if
//! it had not been asked. WebSocket clients use CONNECT with a proxy (RFC 6455 section 4.1).
//!
//! # Cancellation
//!
//! Dropping the future of a request drops its dial, or what the client does for it. Nothing runs in the background but the
//! verification of a password that has begun, which comes to its end on a thread of its own.
//!
//! # Limits
//!
//! | bound | value | why |
//! |---|---|---|
//! | [`Credentials::MAX_LEN`] | 256 bytes | each comparison takes the time of the longest |
//! | [`UsersFile::MAX_BYTES`], [`MAX_USERS`](UsersFile::MAX_USERS), [`MAX_LINE`](UsersFile::MAX_LINE) | 4 MiB, 10,000 users, 1,024 bytes | a users file is held in memory |
//! | [`UsersFile::MAX_BCRYPT_COST`], [`MAX_SHA512_ROUNDS`](UsersFile::MAX_SHA512_ROUNDS) | 14; 1,000,000 | every guess costs as much: about a second of one core |
//! | verifications of passwords at a time | half as many as cores, one at least | connections need the rest |
//! | [`UsersFile::MAX_VERIFICATIONS`], [`MAX_VERIFICATIONS_PER_ADDRESS`](UsersFile::MAX_VERIFICATIONS_PER_ADDRESS) | 1,024; 256 | beyond them the answer is 503 |
//! | [`UsersFile::REMEMBERED`] | 5 minutes after the last use | one password for each user of the file, as a digest |
//! | what one caller has under way | what [`CallerLimitLayer`] is told | beyond it the answer is 429 |
//! | [`Pseudonym::MAX_LEN`] | 64 bytes | it travels with every message |
//! | [`ProxyRefused::MAX_REASON`] | 256 bytes | it is for a line of a log |
//! | targets remembered by their text | 256 | so that a server asked over and over is read once |
//! | Max-Forwards | 4,294,967,295 | a greater one is lowered to it |
//!
//! Sizes of heads and bodies, numbers of connections and times are limited by the engines, the dialer and the relay.
//!
//! # Specification
//!
//! | section | status |
//! |---|---|
//! | RFC 9110 section 7.6.1, Connection and fields of one hop | done, both directions |
//! | RFC 9110 section 7.6.2, Max-Forwards | done |
//! | RFC 9110 section 7.6.3, Via | done; the host's name is not told |
//! | RFC 9110 section 9.3.6, CONNECT | done, on both sides |
//! | RFC 9931, CONNECT that is refused | the HTTP/1.1 server closes the connection behind the answer |
//! | RFC 9110 section 11.7, proxy authentication; RFC 7617, Basic | done; other schemes are not there |
//! | RFC 9110 section 10.2.3, Retry-After | with 429 and, where passwords wait, 503; in seconds |
//! | RFC 6585 section 4, 429 | done |
//! | RFC 9110 section 15.2, informational responses | forwarded |
//! | RFC 9112 section 3.2.2, absolute-form | done |
//! | RFC 9209 section 2, Proxy-Status | done in the head, not in trailers; `rcode` and `next-hop` are not told |
//! | RFC 9209 section 2.3, types of errors | the registered ones that have a cause here |
//! | RFC 9112 section 3.2.4, `OPTIONS` with an empty path, to be sent as `*` | sent as `/` |

mod answer;
mod auth;
mod connect;
mod connector;
mod error;
mod forward;
mod hop;
mod limit;
mod rules;
mod status;
mod targets;
mod trace;
mod upload;

pub use auth::{Credentials, ProxyAuth, ProxyAuthLayer, Users, UsersFile, UsersFileError, UsersFileErrorKind};
pub use connect::Tunnel;
pub use connector::{HttpProxy, HttpProxyConnector, HttpProxyParseError, ProxyRefused};
pub use error::{CredentialsError, PseudonymError, RuleError, RuleErrorKind};
pub use forward::ForwardProxy;
pub use hop::{Pseudonym, remove_hop_fields};
pub use limit::{CallerLimit, CallerLimitLayer, too_many_requests};
pub use rules::{Rule, Rules, TargetPattern};
