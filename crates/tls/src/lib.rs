//! TLS: what clients say first, parsed without IO.
//!
//! Use it to look at TLS connections: whom a client wants to talk to, what it is able to do, what program it is.
//!
//! # The parts
//!
//! - [`hello`] turns the first bytes of a TLS connection into a [`ClientHello`](hello::ClientHello): server name, ALPN,
//!   versions, cipher suites, extensions in order, groups, and the fingerprints JA3 and JA4. It does no IO and needs no
//!   runtime.
//!
//! # Example
//!
//! ```
//! use chaski_tls::hello::{ClientHelloDecoder, ClientHelloErrorKind};
//!
//! // What a client sends that takes a port for one without TLS.
//! let error = ClientHelloDecoder::new().decode(b"GET / HTTP/1.1\r\n").unwrap_err();
//! assert_eq!((error.kind(), error.position()), (ClientHelloErrorKind::NotTls, 0));
//! ```
//!
//! # Limits
//!
//! | bound | default | knob |
//! |---|---|---|
//! | a ClientHello with the headers of its records | [`ClientHelloDecoder::DEFAULT_LIMIT`](hello::ClientHelloDecoder::DEFAULT_LIMIT) | `with_limit` |
//!
//! # Specification
//!
//! | section | what | status |
//! |---|---|---|
//! | RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2 | ClientHello | read, also without extensions; the SSL 2.0 form is not |
//! | RFC 8446 section 5.1 | records | a hello may be spread over several; empty and too long ones are refused |
//! | RFC 6066 section 3 | server name | read; what is no DNS name is kept as bytes alone |
//! | RFC 7301 section 3.1 | ALPN | read |
//! | RFC 8701 | GREASE | known, and left out of fingerprints |
//! | RFC 9849 section 5 | encrypted ClientHello | that there is one is seen |
//! | JA3 | client fingerprint | text and MD5 |
//! | JA4 | client fingerprint of TLS over TCP | JA4, JA4_r, JA4_o, JA4_ro; none of JA4S, JA4H and the rest |

pub mod hello;
