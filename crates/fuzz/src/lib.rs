//! Fuzz targets: bytes in, and a panic where chaski does with them what it must not do.
//!
//! For those who change code that reads from the network. Each target is a function of bytes, [`Target::run`], that
//! `cargo xtask fuzz` gives to libFuzzer, and that an ordinary test runs over the files of `corpus/`, one of which is every
//! input that once found a fault.
//!
//! A target does not look for panics alone. It compares what the code under test says with a second reading, made to be
//! obviously right and not to be fast, in `reference/`; it cuts its input into pieces in several ways, all of which have
//! to come to the same; and it encodes what was decoded and reads that again.
//!
//! # Inputs
//!
//! Most inputs begin with four digits and a line feed: choices, such as the sizes of pieces. The module of a target says
//! what each chooses. What follows is what comes over the wire, as it is, so that a file can be read and edited.
//!
//! # Limits
//!
//! Inputs are at most 4 KiB when fuzzed, and those of the corpus of any size.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a target tells what it has found"
)]

mod heads;
mod input;
mod reference;

mod addresses;
mod chunked;
mod client;
mod client_hello;
mod header_layout;
mod http2_client;
mod http2_fingerprint;
mod http2_server;
mod pem;
mod proxy_status;
mod request_head;
mod response_head;
mod rules;
mod run;
mod server;

/// One fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its folder in `corpus/` too.
    pub name: &'static str,
    /// Runs one input.
    ///
    /// # Panics
    ///
    /// When the input shows a fault.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "request_head", run: request_head::run },
    Target { name: "response_head", run: response_head::run },
    Target { name: "chunked", run: chunked::run },
    Target { name: "header_layout", run: header_layout::run },
    Target { name: "server", run: server::run },
    Target { name: "client", run: client::run },
    Target { name: "client_hello", run: client_hello::run },
    Target { name: "pem", run: pem::run },
    Target { name: "http2_server", run: http2_server::run },
    Target { name: "addresses", run: addresses::run },
    Target { name: "rules", run: rules::run },
    Target { name: "proxy_status", run: proxy_status::run },
    Target { name: "http2_fingerprint", run: http2_fingerprint::run },
    Target { name: "http2_client", run: http2_client::run },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
