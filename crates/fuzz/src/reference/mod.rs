//! A second reading of HTTP/1, of TLS's first message and of PEM, to compare the codecs with: small, slow, and with nothing of them in
//! common.
//!
//! Of HTTP/1 it reads a message that is there as a whole, line by line, from the grammar of RFC 9112 and the rules of strictness
//! that the codec's page states. It knows no limits of length, and of a request target no more than what frames it.

mod body;
mod client_hello;
mod head;
mod item;
mod pem;
mod stream;

pub(crate) use body::chunked;
pub(crate) use client_hello::{Hello, client_hello};
pub(crate) use head::{Body, Fields, Request, request, response};
pub(crate) use item::{Item, Value, item};
pub(crate) use pem::pem;
pub(crate) use stream::{Answer, Ending, Received, answers, requests};

/// What is found at the start of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read<T> {
    /// All of it, and how many bytes it takes.
    Complete(T, usize),
    /// A part of it: more bytes decide.
    Incomplete,
    /// What must be refused, whatever follows.
    Refused,
}
