//! Tests without infrastructure: pipes with chosen faults, mock services, scripted peers.
//!
//! Meant for the tests of crates that build on this one:
//!
//! ```toml
//! [dev-dependencies]
//! chaski-core = { workspace = true, features = ["test-util"] }
//! ```
//!
//! - [`pipe`] and [`PipeOptions`]: two ends of a connection in memory, with sizes of reads and writes, latency and faults
//!   as chosen, and a [`PipeProbe`] that counts what an end was asked to do.
//! - [`Endless`]: a connection that has always more to read and takes every write.
//! - [`ScriptedPeer`]: the far end of a connection, which expects and sends bytes as written down.
//! - [`mock`]: a service whose answers are given by the test, call by call.
//! - [`Chunking::cut`] and [`splits`]: input in pieces, for codecs.
//! - [`assert_describes_child`]: a layer shows what it wraps.
//!
//! Time is tokio's clock throughout, so that a paused one works. Nothing here is random but by a given seed.
//!
//! # Example
//!
//! ```
//! use chaski_core::test_util::{Chunking, PipeDirection, PipeOptions, ScriptedPeer};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Whatever either end reads comes byte by byte.
//! let direction = PipeDirection { reads: Chunking::Bytes(1), ..PipeDirection::default() };
//! let (far, mut near) = PipeOptions::both(direction).pipe();
//!
//! let peer = ScriptedPeer::new(far).expect("PING\r\n").send("PONG\r\n").shutdown().run();
//! let (received, answer) = tokio::join!(peer, async {
//!     near.write_all(b"PING\r\n").await?;
//!     let mut answer = String::new();
//!     near.read_to_string(&mut answer).await.map(|_| answer)
//! });
//! received?;
//! assert_eq!(answer?, "PONG\r\n");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```

mod chunking;
mod describe;
mod endless;
mod mock;
mod pipe;
mod script;

pub use chunking::{Chunking, splits};
pub use describe::assert_describes_child;
pub use endless::Endless;
pub use mock::{Call, MockHandle, MockService, Responder, mock};
pub use pipe::{Fault, Pipe, PipeDirection, PipeOptions, PipeProbe, PipeStats, pipe};
pub use script::{Received, ScriptError, ScriptErrorKind, ScriptedPeer};
