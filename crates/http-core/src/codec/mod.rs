//! HTTP/1.x messages to bytes and back, without IO.
//!
//! For those who write their own engine, test one, or look into traffic. A
//! server that just wants to serve takes the engine of this crate.
//!
//! - [`RequestDecoder`] and [`ResponseDecoder`] take heads off a buffer as it
//!   fills, and return them with the facts that an engine acts on: how the body
//!   is delimited, whether the connection persists, what the peer expects.
//! - [`BodyDecoder`] takes data and trailers off the same buffer.
//! - [`encode_request_head`] and [`encode_response_head`] write heads, decide
//!   their framing and say how to send the body; [`encode_chunk_header`] and
//!   [`encode_last_chunk`] send it in chunks.
//! - A [`HeaderLayout`] keeps, on request, what a `HeaderMap` does not: the order and the case of names.
//!
//! Any split of the input gives the same messages, and the same refusals.
//!
//! # Example
//!
//! A server's side of one exchange:
//!
//! ```
//! use bytes::BytesMut;
//! use chaski_http_core::codec::{
//!     BodyConfig, BodyDecoder, BodyEvent, BodySize, HeadConfig, RequestDecoder, ResponsePlan,
//!     encode_response_head,
//! };
//! use http::{HeaderMap, StatusCode};
//!
//! let mut buf = BytesMut::from(
//!     "POST /echo HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello",
//! );
//! let head = RequestDecoder::new(HeadConfig::default())
//!     .decode(&mut buf)?
//!     .expect("the head is complete");
//! let mut body = BodyDecoder::new(head.framing, BodyConfig::default());
//! let Some(BodyEvent::Data(data)) = body.decode(&mut buf)? else { panic!() };
//! assert!(body.is_end());
//!
//! let mut out = Vec::new();
//! let plan = ResponsePlan {
//!     version: head.version,
//!     method: &head.method,
//!     body: BodySize::Exact(data.len() as u64),
//!     keep_alive: head.keep_alive,
//!     date: None,
//!     layout: None,
//! };
//! encode_response_head(&mut out, StatusCode::OK, &HeaderMap::new(), &plan)?;
//! out.extend_from_slice(&data);
//! assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Strictness
//!
//! What two recipients could read in two ways is refused, not repaired: bare
//! LF and CR, obsolete folding, white space around names, repeated or
//! conflicting lengths, codings other than one `chunked`.
//! [`HeadConfig::lenient_framing`] names the one exception.
//!
//! # Limits
//!
//! [`HeadConfig`] and [`BodyConfig`]. The length of a body is not limited here.
//!
//! # Specification
//!
//! | RFC 9112 | what | where |
//! |---|---|---|
//! | 2.2 | line ends, one empty line before a request | `scan.rs`, `request.rs` |
//! | 3, 3.2 | request line, forms of target, Host | `request.rs`, `target.rs` |
//! | 4 | status line | `response.rs` |
//! | 5 | field lines | `fields.rs`; `layout.rs`, `encode/arrange.rs` for their order and case |
//! | 6 | Transfer-Encoding, Content-Length, the body's length | `facts.rs`, `response.rs`, `encode/` |
//! | 7.1 | chunks, extensions, trailers | `body.rs`, `encode/chunk.rs` |
//! | 8 | incomplete messages | `body.rs` |
//! | 9.3, 9.6 | persistence | `facts.rs`, `encode/` |

mod body;
mod config;
mod encode;
mod error;
mod facts;
mod fields;
mod find;
mod layout;
mod message;
mod names;
mod request;
mod response;
mod scan;
mod spare;
mod target;

pub use self::body::{BodyDecoder, BodyEvent};
pub use self::config::{
    BodyConfig, DEFAULT_MAX_CHUNK_EXTENSION_BYTES, DEFAULT_MAX_EXTENSION_BYTES, DEFAULT_MAX_HEAD_BYTES,
    DEFAULT_MAX_HEADERS, DEFAULT_MAX_TRAILER_BYTES, DEFAULT_MAX_TRAILERS, DEFAULT_MAX_URI_BYTES, HeadConfig,
};
pub use self::encode::{
    BodyEncoding, BodyPlan, BodySize, CHUNK_END, RequestPlan, ResponsePlan, encode_chunk_header, encode_last_chunk,
    encode_request_head, encode_response_head,
};
pub use self::error::{BodyError, EncodeError, HeadError, HeadFault};
pub use self::layout::HeaderLayout;
pub use self::message::{ConnectionTokens, Expectation, Framing, RequestHead, ResponseHead, TargetForm};
pub use self::request::RequestDecoder;
pub use self::response::ResponseDecoder;
