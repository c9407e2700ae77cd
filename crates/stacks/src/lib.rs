//! Stacks that are ready to run, each in one file.
//!
//! - [`http_client`]: an HTTP client over TCP and TLS, in HTTP/1.1 and HTTP/2, through proxies where a route says so.
//! - [`HttpConnector`]: makes sessions of connections, in the version that was agreed on.
//! - [`HttpServer`]: an HTTP server that speaks HTTP/1 and HTTP/2 on one port, in clear and under TLS.
//! - [`forward_proxy`]: an HTTP forward proxy, from the accepted connection down.
//! - [`in_memory`]: clients of a server stack with nothing between them, for tests.
//! - `tower`, with the feature of that name: the bridge to and from tower's services and layers.
//!
//! Take one as it is, or copy its file and change a layer: there is no protocol code here, and nothing that the crates
//! below do not offer to everybody. This is the only library that names several layer crates.
//!
//! # Example
//!
//! ```
//! use chaski_core::{Shutdown, describe};
//! use chaski_net::TcpListener;
//! use chaski_proxy::Rules;
//! use chaski_stacks::{ForwardProxyConfig, forward_proxy};
//!
//! # async fn example() -> Result<(), chaski_core::BoxError> {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let rules = Rules::public_only().with_rule("allow 10.0.0.0/8:443".parse()?).with_own_addresses([listener.local_addr()?]);
//! let proxy = forward_proxy(ForwardProxyConfig::default().with_rules(rules));
//! assert!(listener.describe(&proxy).to_string().contains("ForwardProxy"));
//!
//! let shutdown = Shutdown::new();
//! # shutdown.begin();
//! listener.serve(proxy, &shutdown).await;
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Cancellation
//!
//! That of the parts: dropping a connection's future closes it, and whatever was dialed for it.
//!
//! # Limits
//!
//! Those of the parts; [`ForwardProxyConfig`] sets the ones that differ from their defaults.

mod forward_proxy;
mod http_client;
mod http_connector;
mod http_server;
pub mod in_memory;
mod rate_per_user;
mod recorded_relay;
#[cfg(feature = "tower")]
pub mod tower;

pub use forward_proxy::{ForwardProxyConfig, forward_proxy};
pub use http_client::{HttpClient, HttpClientConfig, http_client};
pub use http_connector::{HttpConnector, HttpSession};
pub use http_server::HttpServer;
