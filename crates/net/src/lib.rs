//! Where connections come from, listeners and connectors over TCP, on Unix sockets and in memory, and how two of them are joined.
//!
//! Use it to accept and to dial plain byte streams under a stack of your own. Those who want an HTTP server, a client or
//! a proxy begin with the `chaski` crate, whose ready-made stacks stand on this one.
//!
//! # The parts
//!
//! - [`TcpListener`] accepts, and hands each `Conn<TcpStream>` to a service in a task of its own, until a `Shutdown`
//!   begins. A permit is taken before a connection is.
//! - [`Dialer`] is a connector: `Connect` in, `Conn<TcpStream>` out. Names go through its resolver (a service of
//!   [`Lookup`], by default [`SystemResolver`]), addresses past its policy and then, raced by Happy Eyeballs, through its
//!   transport (a service of [`DialAddr`], by default [`TcpTransport`]). [`IpFamily`] and [`LocalAddr`] in the route steer it.
//! - [`SocketOptions`] are set on accepted and dialed sockets, and on those that the caller brings, by [`adopt`].
//! - `UnixListener` and `UnixConnector` are the same on Unix sockets, with `PeerCredentials` as a fact. A `Dialer` never
//!   dials a Unix socket.
//! - [`Workers`] are threads with a runtime each; one call serves a listener on all of them instead of on one runtime.
//! - [`Relay`] joins two connections (a `Bridge`) and moves bytes both ways until both directions have ended.
//! - [`matcher`] has tests of a connection's addresses: networks, ports, loopback.
//! - [`peek`] looks at the first bytes of a connection, and has one port serve several protocols.
//! - [`memory`] gives a listener and a connector with no socket between them.
//!
//! # Example
//!
//! ```
//! use chaski_core::{Conn, Connect, Service, Shutdown, SocketAddrs, service_fn};
//! use chaski_net::{Dialer, TcpListener};
//! use std::{error::Error, time::Duration};
//! use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpStream};
//!
//! # async fn example() -> Result<(), Box<dyn Error + Send + Sync>> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let addr = listener.local_addr()?;
//! let shutdown = Shutdown::new();
//!
//! let whoami = service_fn(async |mut conn: Conn<TcpStream>| {
//!     let peer = conn.ext.get::<SocketAddrs>().map(|ends| ends.peer.to_string());
//!     conn.io.write_all(peer.unwrap_or_default().as_bytes()).await
//! });
//! let signal = shutdown.clone();
//! let server = tokio::spawn(async move { listener.serve(whoami, &signal).await });
//!
//! let mut conn = Dialer::new().serve(Connect::new(addr)).await?;
//! let mut text = String::new();
//! conn.io.read_to_string(&mut text).await?;
//! assert_eq!(text, conn.io.local_addr()?.to_string());
//!
//! let report = shutdown.drain(Duration::from_secs(5)).await;
//! assert_eq!(report.cut, 0);
//! server.await?;
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Cancellation
//!
//! Dropping a dial drops its look-up and all its attempts, which closes their sockets; only a look-up of the system's
//! resolver that has begun keeps its thread until the system answers. Dropping a listener's `serve` closes the listening
//! socket and leaves connections under way alone; those end with their service, or when `Shutdown` cuts them.
//!
//! # Limits
//!
//! | what | default | knob |
//! |---|---|---|
//! | open connections of a listener | [`TcpListener::DEFAULT_MAX_CONNECTIONS`] | `with_max_connections` |
//! | connections waiting to be accepted | [`SocketOptions::DEFAULT_BACKLOG`], in memory 128 | `backlog` |
//! | an idle connection whose peer is gone | 2 minutes, by keepalive | `with_keepalive`, `with_keepalive_probes` |
//! | written data that nobody acknowledges | the system's, 15 minutes on Linux | `with_user_timeout` |
//! | pause when `accept` fails for want of resources | 5 ms, doubling to 1 s | |
//! | one connect | [`Dialer::DEFAULT_CONNECT_TIMEOUT`] | `with_connect_timeout` |
//! | a whole dial | [`Dialer::DEFAULT_TOTAL_TIMEOUT`] | `with_total_timeout` |
//! | addresses tried of one name | [`Dialer::DEFAULT_MAX_ATTEMPTS`] | `with_max_attempts` |
//! | first byte, silence, half-open time, shutdown and buffers of a relay | see [`RelayConfig`] | its `with_..` |
//! | pipes of relays, at two descriptors each | 256 in the process, at most an eighth of its descriptors; a thread keeps four | `RelayConfig::with_splice` |
//! | bytes looked at, and time to choose a protocol | [`DEFAULT_LIMIT`](peek::PeekLayer::DEFAULT_LIMIT), [`DEFAULT_TIMEOUT`](peek::PeekLayer::DEFAULT_TIMEOUT) | `with_limit`, `with_timeout` |
//! | look-ups by the system at a time | [`SystemResolver::DEFAULT_CONCURRENCY`], an eighth of it for one caller | `with_concurrency` |
//!
//! # Platforms
//!
//! Linux, macOS and Windows build it. What a system lacks is an error where somebody asks for it: see [`SocketOptions`].
//! Unix sockets are there on Unix, abstract names on Linux and Android. A relay splices on Linux alone.
//!
//! # Specification
//!
//! | section | status | tests |
//! |---|---|---|
//! | RFC 7413, TCP Fast Open | on request, Linux | `what_is_written_first_travels_with_the_syn` |
//! | RFC 8305 section 3, asynchronous queries | not yet: answers come in one piece | |
//! | RFC 8305 section 4, order of addresses | yes; the count of the first family is one | `net_02_families_take_turns_..` |
//! | RFC 8305 section 5, attempts | yes; 250 ms apart, never less than 10 | `net_02_..` |
//! | RFC 4007 section 11, zones | yes, numbers and names of interfaces | `net_05_..` |
//! | RFC 8446 sections 4 and 5.1, how a client's first record begins | yes | `a_client_hello_is_known_by_six_bytes` |
//! | RFC 4291 section 2.5.5.2, IPv4-mapped addresses | dialed as IPv4, recorded as IPv4 | `net_04_..` |
//! | RFC 3493 section 5.3, `IPV6_V6ONLY` | set on every listener of `[::]`, whatever the system's default | `a_listener_takes_both_families_or_one` |
//! | RFC 2474 section 3, DSCP; RFC 3168 section 5, ECN | the former can be set, the latter is TCP's | `the_traffic_class_is_..` |
//! | RFC 5482, user timeout | this end's alone; the TCP option that tells the peer is not sent | `net_10_..` |
//! | RFC 9293 section 3.8.5, urgent data | a relay leaves the urgent byte out, and goes on | `net_19_urgent_..` |
//! | RFC 9293 section 3.8.4, keepalive | yes, on by default | `net_10_..` |

mod accept;
mod dialer;
mod error;
pub mod matcher;
pub mod memory;
mod options;
pub mod peek;
mod relay;
mod resolver;
mod tcp;
#[cfg(unix)]
mod unix;
mod workers;

pub use dialer::{DialAttempt, DialOutcome, DialReport, Dialer, IpFamily, LocalAddr};
pub use error::{BindError, ResolveError, SocketOptionError};
pub use options::SocketOptions;
pub use relay::{Relay, RelayConfig, RelayCounters, RelayOutcome, RelayReport, RelaySide, RelayStep};
pub use resolver::{Addrs, Lookup, SystemResolver};
pub use tcp::{Adopt, DialAddr, TcpListener, TcpTransport, adopt};
#[cfg(unix)]
pub use unix::{PeerCredentials, UnixAddr, UnixConnector, UnixListener, UnixOptions, adopt_unix};
pub use workers::{Listener, PerWorker, Workers};
