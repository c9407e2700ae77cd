//! A tunnel that has always more to move does not keep the thread from the others.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use chaski_core::{Bridge, Conn, Io, Service};
use chaski_net::{Relay, RelayConfig};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::yield_now,
};

/// Bytes with every read, and every write is taken: nothing here ever waits. It knows no budget of the runtime's, as the IO
/// of others may not.
struct Endless {
    /// Ends after all, so that a relay that starves the others fails the test and does not hang it.
    left: usize,
    taken: Arc<AtomicUsize>,
}

impl AsyncRead for Endless {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let n = buf.remaining().min(self.left);
        buf.initialize_unfilled_to(n);
        buf.advance(n);
        self.left -= n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.taken.fetch_add(bytes.len(), Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Io for Endless {}

/// Between two turns of another task of the same thread, a few MiB are moved: 1 in each direction at each poll.
#[tokio::test]
async fn a_tunnel_without_end_does_not_starve_the_others() {
    const MIB: usize = 1024 * 1024;

    let taken = Arc::new(AtomicUsize::new(0));
    let end = || Conn::new(Endless { left: 1024 * MIB, taken: Arc::clone(&taken) });
    let bridge = Bridge::new(end(), end());
    let pumping = tokio::spawn(async move { Relay::new(RelayConfig::default()).serve(bridge).await });
    let mut before = 0;
    for turn in 0..50 {
        yield_now().await;
        let now = taken.load(Ordering::Relaxed);
        assert!(now - before <= 6 * MIB, "{} bytes in turn {turn}", now - before);
        before = now;
    }
    assert!(before > 50 * MIB, "it gets on too: {before}");
    pumping.abort();
}
