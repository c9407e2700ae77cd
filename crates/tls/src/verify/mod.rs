//! Whom to trust: what a client asks of a server's certificate, and a server of a client's.

mod client;
mod name;
mod pin;
pub(crate) mod refused;
mod server;
pub(crate) mod x509;

pub(crate) use client::ClientVerifier;
pub(crate) use name::{expected_host, server_name};
pub use pin::{PinParseError, SpkiPin};
pub(crate) use server::{Checks, ServerVerifier};
