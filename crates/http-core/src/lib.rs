//! HTTP/1.1 for chaski.
//!
//! [`codec`] turns bytes into messages and back: strict, incremental, without
//! IO. The engines on top of it need the feature `tokio`, which is on by
//! default; without it only the codec is built.

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
