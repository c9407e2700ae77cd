//! What a client's connections have been through, in numbers.

/// A snapshot of the connections of a [`Client`](crate::Client): what there is now, and what was counted since it was made.
///
/// The numbers are read one after the other while calls go on, so sums may be off by what happened meanwhile. At rest
/// `established` is the sum of `open` and all that were closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Now: connections, dials under way included.
    pub open: usize,
    /// Now: connections that are kept. A shared one counts while requests are under way on it, too.
    pub idle: usize,
    /// Now: calls that wait for a connection, and may not dial or join a dial for it.
    pub waiting: usize,
    /// Dials that were begun.
    pub dials: u64,
    /// Dials that were handed to another call, because the one that had begun them left.
    pub dials_handed_over: u64,
    /// Connections that were made.
    pub established: u64,
    /// Requests that were given a connection which another call had used, or had made.
    pub reused: u64,
    /// Requests that were given a connection which had been made to another host. They are among those of `reused`.
    pub coalesced: u64,
    /// Requests among those that the peer answered with 421.
    pub misdirected: u64,
    /// Calls that had to wait, because they could not dial at once.
    pub waits: u64,
    /// Connections that ended with their use: the peer said so, the request failed, or it was given up.
    pub closed_used: u64,
    /// Connections that were closed because nobody used them for the idle timeout.
    pub closed_idle: u64,
    /// Connections that were closed, or drained, because of their age.
    pub closed_age: u64,
    /// Connections that were closed for a limit: of those that are kept, or to make room for another target.
    pub closed_limit: u64,
    /// Connections that were kept and found closed by their peer, or failed when they were used again.
    pub closed_dead: u64,
    /// Connections that [`Client::close_idle`](crate::Client::close_idle) closed.
    pub closed_asked: u64,
}

/// Why a place became free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Closed {
    /// The dial failed, or nobody wanted it any more.
    NeverOpen,
    Used,
    Idle,
    Age,
    Limit,
    Dead,
    Asked,
}

impl Closed {
    const ALL: [Self; 7] = [Self::NeverOpen, Self::Used, Self::Idle, Self::Age, Self::Limit, Self::Dead, Self::Asked];

    /// The inverse of `as u8`.
    pub(crate) fn from_u8(n: u8) -> Self {
        Self::ALL.get(usize::from(n)).copied().unwrap_or(Self::Used)
    }
}

/// The counters of one shard. They are changed under its lock, which is held anyway: so they cost next to nothing.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) dials: u64,
    pub(crate) handed_over: u64,
    pub(crate) established: u64,
    pub(crate) reused: u64,
    pub(crate) coalesced: u64,
    pub(crate) misdirected: u64,
    pub(crate) waits: u64,
    closed: [u64; Closed::ALL.len()],
}

impl Counts {
    pub(crate) fn close(&mut self, why: Closed) {
        if let Some(count) = self.closed.get_mut(why as usize) {
            *count += 1;
        }
    }

    pub(crate) fn add_to(&self, stats: &mut PoolStats) {
        let [_, used, idle, age, limit, dead, asked] = self.closed;
        stats.dials += self.dials;
        stats.dials_handed_over += self.handed_over;
        stats.established += self.established;
        stats.reused += self.reused;
        stats.coalesced += self.coalesced;
        stats.misdirected += self.misdirected;
        stats.waits += self.waits;
        stats.closed_used += used;
        stats.closed_idle += idle;
        stats.closed_age += age;
        stats.closed_limit += limit;
        stats.closed_dead += dead;
        stats.closed_asked += asked;
    }
}
