//! HTTP/2 on connections that you have.
//!
//! # The parts
//!
//! - [`Http2Fingerprint`] is a fact: how a client opened its connection, by its settings, its window, its priorities and the
//!   order of its pseudo-header fields. A [`FingerprintReader`] reads it, without IO; a [`FingerprintTap`] around a
//!   connection leaves it there.
//!
//! # Example
//!
//! ```
//! use chaski_core::Conn;
//! use chaski_http2::{FingerprintTap, Http2Fingerprint};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
//!
//! # async fn example() -> std::io::Result<()> {
//! let (mut client, server) = duplex(1024);
//! let mut conn = FingerprintTap::tap(Conn::new(server));
//! client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
//! client.write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x02\0\0\0\0").await?;
//! client.write_all(b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84").await?;
//!
//! // Here a server would read.
//! conn.io.read_exact(&mut [0; 51]).await?;
//! let fingerprint = conn.ext.get::<Http2Fingerprint>().unwrap();
//! assert_eq!(fingerprint.to_string(), "2:0|00|0|m,s,p");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Limits
//!
//! | bound | value | beyond it |
//! |---|---|---|
//! | bytes that a fingerprint may take | [`FingerprintReader::MAX_BYTES`] | there is none |
//! | settings, priority frames | [`FingerprintReader::MAX_SETTINGS`], [`FingerprintReader::MAX_PRIORITIES`] | there is none |

mod fingerprint;

pub use fingerprint::{FingerprintReader, FingerprintTap, Http2Fingerprint, PseudoHeader, Reading, StreamPriority};
