//! Two connections joined: bytes move both ways until both directions have ended.
//!
//! From the outside in: [`Relay`] is the service, `run` is one relay's future with its limits, `direction` moves the bytes
//! of one direction. `buffer` lends it memory; `splice` moves its bulk in the kernel, through a `pipe`. `timer` is its one
//! alarm.

mod buffer;
mod config;
mod counters;
mod direction;
#[cfg_attr(not(target_os = "linux"), path = "no_pipe.rs")]
mod pipe;
mod report;
mod run;
mod splice;
#[cfg(test)]
mod tests;
mod timer;

pub use config::RelayConfig;
pub use counters::RelayCounters;
pub use report::{RelayOutcome, RelayReport, RelaySide, RelayStep};

use std::convert::Infallible;

use chaski_core::{Bridge, Description, Io, Service};

use self::run::Run;

/// Moves bytes both ways between the two sides of a [`Bridge`], in the caller's task, until both directions have ended.
///
/// The output is a [`RelayReport`]: what was moved, and how it ended. A relay does not fail: an error of either side is one
/// of the ways in which it ends.
///
/// # How a direction ends
///
/// - **End of stream** of the reader: what was read before it is written and flushed, then the writer's half is shut down
///   (half-close). The other direction goes on.
/// - **A write that fails**, or takes no byte, loses that direction's bytes. Its peer takes no more, but what it has sent
///   before is still delivered to the other one: a server may answer and close before it has read everything.
/// - **A read that fails** (a reset, a TLS stream cut short) says that its side is gone, both ways. What was read before
///   the error is still delivered; then both sides are closed. The other side's half is not shut down first: where its
///   protocol tells an orderly end from a cut, as TLS does, it sees a cut. Over plain TCP it sees a FIN, not a reset.
///
/// Nothing is written to a half, nor flushed, once its shutdown has begun.
///
/// # Limits
///
/// Those of [`RelayConfig`]. Whichever passes first ends the relay: both sides are closed by being dropped. A relay holds at
/// most one buffer per direction, of 8, 64 or 256 KiB as the traffic asks, and none while it waits for bytes; a
/// reader is not read while the bytes before are waiting for the writer. In one poll it moves about 1 MiB per direction at
/// most, then lets other tasks run.
///
/// Where a direction may [splice](RelayConfig::splice), its bulk goes through a pipe instead of the buffer: at most 256 KiB in
/// at most 64 pieces, each of which keeps the memory that it arrived in. A pipe takes two file descriptors, and like a buffer is
/// held only while the direction moves or its writer is blocked. There are at most 256 in the process, and no more
/// than an eighth of the descriptors that it may open allows; a thread keeps up to four of them for the next
/// direction. One that gets none copies.
///
/// The scopes of both sides are let go of when the relay starts: a tunnel that may last for days does not keep the facts of
/// the request that asked for it.
///
/// # Cancel safety
///
/// Dropping the future drops both sides, and with them the bytes that were read and not yet written. No report is given:
/// what was moved up to then is found in [`RelayCounters`].
///
/// # Panics
///
/// Outside of a tokio runtime with time enabled, unless no limit is set.
///
/// # Examples
///
/// ```
/// use chaski_core::{Bridge, Conn, Service};
/// use chaski_net::{Relay, RelayOutcome};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// # async fn example() -> std::io::Result<()> {
/// let ((mut client, a), (b, mut server)) = (duplex(64), duplex(64));
/// client.write_all(b"ping").await?;
/// client.shutdown().await?;
/// server.write_all(b"pong!").await?;
/// server.shutdown().await?;
///
/// let Ok(report) = Relay::default().serve(Bridge::new(Conn::new(a), Conn::new(b))).await;
/// assert_eq!((report.a_to_b, report.b_to_a), (4, 5));
/// assert_eq!(report.outcome, RelayOutcome::Complete);
///
/// let mut got = String::new();
/// server.read_to_string(&mut got).await?;
/// assert_eq!(got, "ping");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relay {
    config: RelayConfig,
}

impl Relay {
    /// A relay with these limits.
    #[must_use]
    pub const fn new(config: RelayConfig) -> Self {
        Self { config }
    }

    /// The limits.
    #[must_use]
    pub const fn config(&self) -> &RelayConfig {
        &self.config
    }
}

impl<A: Io, B: Io> Service<Bridge<A, B>> for Relay {
    type Output = RelayReport;
    type Error = Infallible;

    fn serve(&self, bridge: Bridge<A, B>) -> impl Future<Output = Result<RelayReport, Infallible>> + Send {
        // Before the future, which would hold twice what it takes by value.
        let mut run = Run::new(bridge, &self.config);
        std::future::poll_fn(move |cx| run.poll(cx).map(Ok))
    }

    fn describe(&self) -> Description {
        // `RelayCounters` is not named as a fact that is read: nobody has to write it.
        self.config.describe(Description::named("relay"))
    }
}
