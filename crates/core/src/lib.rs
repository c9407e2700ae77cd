//! The contract every chaski layer stands on: everything is a service, one input, one output.
//!
//! A TCP accept, a TLS handshake, an HTTP request, a DNS look-up are each a [`Service`]; a [`Layer`] wraps services, and
//! [`stack`] writes a whole server or client as one expression, outermost first. This crate holds that contract and the
//! vocabulary in which layers meet, and no protocol. Layer crates depend on it alone.
//!
//! Use it to write a layer of your own. To build servers, clients and proxies, start with the `chaski` crate.
//!
//! # The parts
//!
//! - [`Service`], [`Layer`], [`service_fn`], [`stack`], [`BoxService`], [`describe()`]: the contract.
//! - [`Extensions`]: what is known about a connection or a message, in scopes that never mix.
//! - [`Conn`], [`Connect`], [`Session`], [`Bridge`]: the inputs of the transport layers.
//! - [`Host`], [`Domain`], [`HostPort`]: addresses, parsed once and strictly.
//! - [`ConnectError`], [`SendError`], [`BoxError`]: errors that cross layers.
//! - `Io`, `Shutdown` (feature `tokio`): byte streams, graceful shutdown.
//! - [`http`](mod@http) (feature `http`): bodies, scopes on messages, upgrades, informational responses.
//! - `test_util` (feature `test-util`): pipes with faults, mock services and scripted peers.
//!
//! # Example
//!
//! ```
//! use chaski_core::{Service, layer_fn, ServiceExt, service_fn, stack};
//! use std::convert::Infallible;
//!
//! # async fn example() -> Result<(), Infallible> {
//! let greet = stack(
//!     layer_fn(|inner| ServiceExt::map_input(inner, |name: &str| name.to_uppercase())),
//!     service_fn(async |name: String| Ok::<_, Infallible>(format!("hello, {name}"))),
//! );
//! assert_eq!(greet.serve("ana").await?, "hello, ANA");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Cancellation
//!
//! Dropping a future cancels its work, everywhere.
//!
//! # Limits
//!
//! A scope holds at most [`Extensions::MAX_FACTS`] facts; `Peeked` sees at most 64 KiB.

mod address;
mod caller;
mod conn;
mod connect;
#[cfg(feature = "tokio")]
mod deadline;
mod describe;
mod error;
mod extensions;
mod facts;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "tokio")]
mod io;
mod layer;
mod service;
mod session;
#[cfg(feature = "tokio")]
mod shutdown;
#[cfg(feature = "test-util")]
pub mod test_util;

pub use address::{
    AddressParseError, AddressParseErrorKind, AddressPart, Domain, Host, HostPort, IpClass, UriHost, UriHostPort, Zone,
    canonical_ip, embedded_ipv4,
};
pub use caller::Caller;
pub use conn::{Bridge, Conn};
pub use connect::{
    AddressPolicy, AllowAll, Candidate, Choice, Connect, HttpVersions, Protocol, Refused, RefusedKind, Route, Target,
};
#[cfg(feature = "tokio")]
pub use deadline::Deadline;
pub use describe::{Description, FactName, UnmetFact, describe};
pub use error::{
    Attempt, BoxError, ConnectError, ConnectStage, Elapsed, IntoBoxError, SendError, SendErrorParts, Sent,
    display_chain, find_cause,
};
pub use extensions::{Extensions, Fact};
#[cfg(feature = "http")]
pub use facts::HttpVersion;
pub use facts::{EffectiveSocketOptions, ServerIdentity, SocketAddrs, TunnelTarget, User};
#[cfg(feature = "tokio")]
pub use io::{BoxIo, Io, Peeked, Prefixed};
pub use layer::{Layer, LayerFn, Optional, layer_fn, optional, stack};
pub use service::{
    BoxService, Branch, Described, Either, MapErr, MapInput, MapOutput, MapResult, Service, ServiceExt, ServiceFn,
    ServiceFnWith, Then, branch, check, service_fn, service_fn_with,
};
pub use session::{Session, SessionState, Slots};
#[cfg(feature = "tokio")]
pub use shutdown::{Shutdown, ShutdownGuard, ShutdownMoment, ShutdownReport, ShutdownSignal};
