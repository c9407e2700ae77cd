//! Telling a client why it is turned away, before any TLS library has seen it.

use std::time::Duration;

use chaski_core::Io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::Alert;

/// How long a client that is turned away may take to hear so and to hang up.
const PATIENCE: Duration = Duration::from_secs(1);

/// How much is read of what it still sends meanwhile.
const DRAINED: usize = 64 * 1024;

/// What came could not be read (RFC 8446 section 6.2).
pub(crate) const DECODE_ERROR: Alert = Alert::new(50);

/// The version in the alert to a client of which no version is known.
pub(crate) const TLS_1_2: u16 = 0x0303;

/// Sends the alert to a client of this `legacy_version` and closes. What fails is not told: the client is turned away in any case.
pub(crate) async fn send(mut io: impl Io, version: u16, alert: Alert) {
    // RFC 8446 section 5.1: 0x0303 in all records but the first of a client. A client that knows no TLS 1.2 gets its own
    // version; before that is agreed on, RFC 5246 appendix E.1 lets a server use any.
    let version = version.clamp(0x0301, TLS_1_2).to_be_bytes();
    let record = [21, version[0], version[1], 0, 2, 2, alert.code()];
    let sent = timeout(PATIENCE, async {
        io.write_all(&record).await?;
        io.shutdown().await?;
        // A socket that is closed with bytes unread is reset, and the alert is lost with it.
        let mut drained = 0;
        let mut buffer = [0; 1024];
        while drained < DRAINED {
            match io.read(&mut buffer).await? {
                0 => break,
                n => drained += n,
            }
        }
        Ok::<_, std::io::Error>(())
    });
    if !matches!(sent.await, Ok(Ok(()))) {
        tracing::debug!(%alert, "the client did not wait for the alert, or for its end");
    }
}
