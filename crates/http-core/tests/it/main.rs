//! The engines over pipes in memory: raw bytes in, raw bytes out.
#![cfg(feature = "tokio")]

#[cfg(test)]
mod connector;
#[cfg(test)]
mod server;
