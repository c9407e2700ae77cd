use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The bytes that a relay has moved so far, for whoever wants to know before it ends, or after it was cut.
///
/// It is a handle: clones count together. Insert one into the scope of the bridge's `a` side before the relay starts, keep a
/// clone, and read it at any time; a relay whose future is dropped gives no report, but has counted. A relay adds to the newest
/// one that it finds, parents' scopes included, so one handle may also count for many relays.
///
/// ```
/// use chaski_core::{Bridge, Conn, Service};
/// use chaski_net::{Relay, RelayCounters};
/// use tokio::io::{AsyncWriteExt, duplex};
///
/// # async fn example() -> std::io::Result<()> {
/// let ((mut client, a), (b, server)) = (duplex(64), duplex(64));
/// let counters = RelayCounters::default();
/// let a = Conn::new(a);
/// a.ext.insert(counters.clone());
/// client.write_all(b"ping").await?;
///
/// let relay = Relay::default();
/// let cut = tokio::time::timeout(std::time::Duration::from_secs(1), relay.serve(Bridge::new(a, Conn::new(b))));
/// assert!(cut.await.is_err());
/// assert_eq!((counters.a_to_b(), counters.b_to_a()), (4, 0));
/// # drop(server);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct RelayCounters {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    a_to_b: AtomicU64,
    b_to_a: AtomicU64,
}

impl RelayCounters {
    /// Bytes read from the accepted side and written to the dialed one.
    #[must_use]
    pub fn a_to_b(&self) -> u64 {
        self.counts.a_to_b.load(Ordering::Relaxed)
    }

    /// Bytes read from the dialed side and written to the accepted one.
    #[must_use]
    pub fn b_to_a(&self) -> u64 {
        self.counts.b_to_a.load(Ordering::Relaxed)
    }

    /// Counts what one poll has moved.
    pub(super) fn add(&self, a_to_b: u64, b_to_a: u64) {
        for (count, more) in [(&self.counts.a_to_b, a_to_b), (&self.counts.b_to_a, b_to_a)] {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
    }
}
