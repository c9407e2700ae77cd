//! A modular service framework for moving and transforming network traffic: clients, servers, proxies, gateways,
//! inspectors.
//!
//! One idea runs through every layer of the network: **everything is a service, one input, one output**. A TCP accept, an
//! HTTP request, a dial are each a [`Service`]; layers wrap services; stacks are written in code, top to bottom, and can
//! be read, tested and replaced piece by piece.
//!
//! This crate re-exports the others behind features, and nothing else. Users of one layer alone can depend on its crate.
//!
//! | feature | default | module | what |
//! |---|---|---|---|
//! | | always | the root, [`http`](mod@http) | the contract: services, layers, extensions, connections, addresses, bodies |
//! | `net` | yes | [`net`] | listeners, connectors, Happy Eyeballs, relay, peek: TCP, Unix sockets and in memory |
//! | `http1` | yes | [`http1`] | the HTTP/1.1 engine: server, connector, codec |
//! | `http2` | | `http2` | HTTP/2: server, sessions, fingerprint |
//! | `tls`, `tls-ring` | | `tls` | TLS: acceptor, connector, certificates, ClientHello, routing by server name |
//! | `tls-issuing` | | | certificates that are made: self-signed ones, an authority in memory |
//! | `client` | | `client` | an HTTP client and its pool, over any connector |
//! | `middleware` | | `middleware` | layers for any service: limits of time, number and rate, spans, facts, matchers |
//! | `proxy` | | `proxy` | forward proxy, tunnels, authentication, address rules |
//! | `telemetry` | | `telemetry` | logs, access logs, counters |
//! | `stacks` | | `stacks` | ready-made stacks of all of these |
//! | `tower` | | `tower` | the bridge to and from tower's services and layers; brings `stacks` |
//! | `idna` | | | domain names beyond ASCII |
//! | `test-util` | | `test_util` | in-memory pipes with faults, mock services, scripted peers |
//!
//! # Example
//!
//! A server and a client of it, without a socket between them:
//!
//! ```
//! use chaski::{
//!     Connect, HostPort, Service, Shutdown,
//!     http::{Body, Request, Response},
//!     http1::{Http1ClientConfig, Http1Connector, Http1Server},
//!     net::memory,
//!     service_fn,
//! };
//! use std::convert::Infallible;
//!
//! # async fn example() -> Result<(), chaski::BoxError> {
//! let server = Http1Server::new(service_fn(async |request: Request| {
//!     Ok::<_, Infallible>(Response::new(Body::full(format!("you asked for {}", request.uri().path()))))
//! }));
//! let (listener, connector) = memory::listen("hello");
//! let shutdown = Shutdown::new();
//! tokio::spawn({
//!     let shutdown = shutdown.clone();
//!     async move { listener.serve(server, &shutdown).await }
//! });
//!
//! let client = Http1Connector::new(connector, Http1ClientConfig::default());
//! let session = client.serve(Connect::new("hello:80".parse::<HostPort>()?)).await?;
//! let response = session.serve(Request::get("http://hello/tea").body(Body::empty())?).await?;
//! assert_eq!(response.into_body().collect(1024).await?, "you asked for /tea");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
//! ```

// The guide's examples use most features; `cargo xtask test` builds with all of them.
#[cfg(all(doctest, feature = "stacks"))]
mod book;

pub use chaski_core::*;

#[cfg(feature = "client")]
pub use chaski_client as client;
#[cfg(feature = "http1")]
pub use chaski_http_core as http1;
#[cfg(feature = "http2")]
pub use chaski_http2 as http2;
#[cfg(feature = "middleware")]
pub use chaski_middleware as middleware;
#[cfg(feature = "net")]
pub use chaski_net as net;
#[cfg(feature = "proxy")]
pub use chaski_proxy as proxy;
#[cfg(feature = "stacks")]
pub use chaski_stacks as stacks;
#[cfg(feature = "telemetry")]
pub use chaski_telemetry as telemetry;
#[cfg(any(feature = "tls", feature = "tls-ring"))]
pub use chaski_tls as tls;

#[cfg(feature = "tower")]
pub use chaski_stacks::tower;
