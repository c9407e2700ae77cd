//! The real parts together, in memory and in paused time: what each crate shows with mocks has to hold between them, too.
//! The modules say that they are tests, so that the lints for tests hold in their helpers too.

#[cfg(test)]
mod bodies;
#[cfg(test)]
#[cfg(unix)]
mod browser;
#[cfg(test)]
mod cancel;
#[cfg(test)]
#[cfg(unix)]
mod client_certificates;
#[cfg(test)]
#[cfg(unix)]
mod coalescing;
#[cfg(test)]
mod expect;
#[cfg(test)]
#[cfg(unix)]
mod foreign_proxy;
#[cfg(test)]
#[cfg(unix)]
mod fronting;
#[cfg(test)]
mod hostile;
#[cfg(test)]
#[cfg(unix)]
mod http_client;
#[cfg(test)]
#[cfg(unix)]
mod http_server;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod layout;
#[cfg(test)]
mod matchers;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod middleware;
#[cfg(test)]
mod mitm;
#[cfg(test)]
mod net;
#[cfg(test)]
#[cfg(unix)]
mod peek;
#[cfg(test)]
#[cfg(unix)]
mod peers;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod reuse;
#[cfg(test)]
mod runtimes;
#[cfg(test)]
mod small_calls;
#[cfg(test)]
mod smuggling;
#[cfg(test)]
mod streaming;
#[cfg(test)]
#[cfg(unix)]
mod support;
#[cfg(test)]
mod telemetry;
#[cfg(test)]
mod tls_ends;
#[cfg(test)]
#[cfg(feature = "tower")]
mod tower_any;
#[cfg(test)]
#[cfg(feature = "tower")]
mod tower_axum;
#[cfg(test)]
#[cfg(feature = "tower")]
mod tower_http_layers;
#[cfg(test)]
mod trace_context;
#[cfg(test)]
mod tunnel;
#[cfg(test)]
#[cfg(unix)]
mod unix;
#[cfg(test)]
mod upgrades;
#[cfg(test)]
#[cfg(unix)]
mod upstreams;
