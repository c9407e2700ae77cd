//! Telling a client why it is turned away, so that it hears it.

use std::{io, time::Duration};

use chaski_core::Io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::Alert;

/// How long a client that is turned away may take to hear so and to hang up.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// How much is read of what it still sends meanwhile.
const LINGER_BYTES: u64 = 64 * 1024;

/// The version in the alert to a client of which no version is known.
pub(crate) const TLS_1_2: u16 = 0x0303;

/// A fatal alert in a record of its own, before there are keys (RFC 8446 sections 5.1 and 6).
pub(crate) fn record(version: u16, alert: Alert) -> [u8; 7] {
    let [major, minor] = version.to_be_bytes();
    [21, major, minor, 0, 2, 2, alert.code()]
}

/// Sends the alert to a client of this `legacy_version` and closes. What fails is not told: the client is turned away in any case.
pub(crate) async fn send(mut io: impl Io, version: u16, alert: Alert) {
    // RFC 8446 section 5.1: 0x0303 in all records but the first of a client. A client that knows no TLS 1.2 gets its own
    // version; before that is agreed on, RFC 5246 appendix E.1 lets a server use any.
    let record = record(version.clamp(0x0301, TLS_1_2), alert);
    let sent = timeout(LINGER, async {
        io.write_all(&record).await?;
        hang_up(&mut io).await
    });
    if !matches!(sent.await, Ok(Ok(()))) {
        tracing::debug!(%alert, "the client did not wait for the alert, or for its end");
    }
}

/// Ends the direction behind an alert, and reads on until the client has closed or has sent too much: a socket that is closed
/// with bytes unread is reset, and the alert may be lost with that.
pub(crate) async fn hang_up(io: &mut impl Io) -> io::Result<()> {
    io.shutdown().await?;
    tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}
