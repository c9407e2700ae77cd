//! A tunnel that has always more to move does not keep the thread from the others.

use std::sync::atomic::Ordering;

use chaski_core::{Bridge, Conn, Service, test_util::Endless};
use chaski_net::{Relay, RelayConfig};
use tokio::task::yield_now;

/// Between two turns of another task of the same thread, a few MiB are moved: 1 in each direction at each poll.
#[tokio::test]
async fn a_tunnel_without_end_does_not_starve_the_others() {
    const MIB: usize = 1024 * 1024;

    let [a, b] = [(); 2].map(|()| Endless::new(&[0; 4096], 1024 * MIB));
    let taken = [a.taken(), b.taken()];
    let bridge = Bridge::new(Conn::new(a), Conn::new(b));
    let pumping = tokio::spawn(async move { Relay::new(RelayConfig::default()).serve(bridge).await });
    let mut before = 0;
    for turn in 0..50 {
        yield_now().await;
        let now: usize = taken.iter().map(|taken| taken.load(Ordering::Relaxed)).sum();
        assert!(now - before <= 6 * MIB, "{} bytes in turn {turn}", now - before);
        before = now;
    }
    assert!(before > 50 * MIB, "it gets on too: {before}");
    pumping.abort();
}
