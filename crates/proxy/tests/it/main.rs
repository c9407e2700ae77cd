//! The proxy's services in memory, between mocks.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails its test")]

mod auth;
mod connect;
mod connector;
mod forward;
mod informational;
mod policy;
mod support;
