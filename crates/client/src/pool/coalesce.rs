//! Connections that carry requests for other hosts than the one they were made to (RFC 9113 section 9.1.1).
//!
//! Which ones may is remembered in one list, that is looked at only by a call that has found nothing kept for its own key. What a
//! connection may carry is remembered with the connection, and forgotten with it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, Weak},
};

use chaski_core::{Host, ServerIdentity, Session, http::Request};
use tokio::time::Instant;

use super::{Pool, held::Held, held::Lease, lock};
use crate::{ClientConfig, target::Key};

/// The connections that may carry requests for other hosts, the one made first first: so that those which come together for
/// several hosts stay together, and later ones become idle.
pub(super) struct Coalescing<S: Session<Request>>(Mutex<VecDeque<Candidate<S>>>);

/// A connection and what it was made for, so that most are passed over without a look at them.
struct Candidate<S: Session<Request>> {
    key: Arc<Key>,
    held: Weak<Held<S>>,
}

/// The other hosts that a connection carries requests for.
#[derive(Default)]
pub(super) struct Hosts(Mutex<Vec<(Host, Standing)>>);

/// What is known of a connection and a host that is not its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The server has proved to be that host.
    Proved,
    /// It has answered a request for it.
    Answered,
    /// It wants none: RFC 9110 section 15.5.20.
    Misdirected,
}

impl<S: Session<Request>> Pool<S> {
    /// A connection that was made to another host, and may carry this request for `key` now. A request that cannot be sent again
    /// needs a peer that has answered for this host before.
    pub(crate) fn coalesce(&self, key: &Key, request: &Request) -> Option<Lease<S>> {
        let policy = self.config.coalescing.as_ref()?;
        let asked = key.origin()?;
        let repeatable = request.body().replay().is_some();
        let mut passed = 0;
        loop {
            // Neither the policy nor a session is asked under the lock, which is let go at the end of this statement.
            let (at, made_for, held) = self.coalescing.next(passed, key)?;
            passed = at + 1;
            if !made_for.origin().is_some_and(|connected| policy.allows(connected, asked)) {
                continue;
            }
            let Some(held) = held.upgrade() else { continue };
            if !held.may_be_asked_for(asked, repeatable) || !self.use_for_another(&held) {
                continue;
            }
            if let Ok(lease) = self.reserve(held) {
                self.shard(&made_for).counts.coalesced += 1;
                tracing::debug!(target = %key.target, connection = %made_for.target, "a connection to another host is used");
                return Some(lease);
            }
        }
    }

    /// Remembers a new connection, if its server has proved to be the host it was made to, and may be asked for others.
    pub(super) fn may_carry_others(&self, held: &Arc<Held<S>>) {
        let key = &held.place.key;
        let (Some(_), Some(host)) = (&self.config.coalescing, key.origin()) else { return };
        // Of a tunnel, the fact may be that of the proxy.
        if held.session.scope().get::<ServerIdentity>().is_some_and(|identity| identity.name() == host) {
            self.coalescing.add(Candidate { key: Arc::clone(key), held: Arc::downgrade(held) });
        }
    }

    pub(super) fn count_misdirected(&self, key: &Key) {
        self.shard(key).counts.misdirected += 1;
    }

    /// Whether a connection is kept, and nobody waits for one of its key, who would be overtaken. It counts as in use then.
    fn use_for_another(&self, held: &Arc<Held<S>>) -> bool {
        let now = Instant::now();
        self.shard(&held.place.key).use_kept(held, now, &self.config)
    }
}

impl<S: Session<Request>> Coalescing<S> {
    /// The first connection for another host than that of `key`, behind so many that were passed; and where it stands.
    fn next(&self, passed: usize, key: &Key) -> Option<(usize, Arc<Key>, Weak<Held<S>>)> {
        let candidates = lock(&self.0);
        let mut rest = candidates.iter().enumerate().skip(passed);
        let (at, found) = rest.find(|(_, candidate)| key.is_other_host_of(&candidate.key))?;
        Some((at, Arc::clone(&found.key), Weak::clone(&found.held)))
    }

    fn add(&self, candidate: Candidate<S>) {
        let mut candidates = lock(&self.0);
        // Weak ones: nothing is dropped here but memory.
        candidates.retain(|candidate| candidate.held.strong_count() > 0);
        if candidates.len() >= ClientConfig::MAX_COALESCING_CONNECTIONS {
            candidates.pop_front();
        }
        candidates.push_back(candidate);
    }
}

impl<S: Session<Request>> Held<S> {
    fn may_be_asked_for(&self, host: &Host, repeatable: bool) -> bool {
        match self.hosts.standing(host) {
            Some(Standing::Answered) => true,
            Some(Standing::Proved) => repeatable,
            Some(Standing::Misdirected) => false,
            None => {
                repeatable
                    && self.hosts.has_room()
                    && self.session.scope().get::<ServerIdentity>().is_some_and(|identity| identity.covers(host))
                    && self.hosts.add(host)
            }
        }
    }
}

impl Hosts {
    /// Notes that the peer has answered a request for this host.
    pub(super) fn answered(&self, host: &Host, misdirected: bool) {
        let standing = if misdirected { Standing::Misdirected } else { Standing::Answered };
        if let Some((_, known)) = lock(&self.0).iter_mut().find(|(known, _)| known == host)
            // What was answered before the peer had enough of it says nothing of the time after.
            && *known != Standing::Misdirected
        {
            *known = standing;
        }
    }

    fn standing(&self, host: &Host) -> Option<Standing> {
        lock(&self.0).iter().find(|(known, _)| known == host).map(|(_, standing)| *standing)
    }

    fn has_room(&self) -> bool {
        lock(&self.0).len() < ClientConfig::MAX_COALESCED_HOSTS
    }

    /// Adds a host that the server has proved to be, unless there are too many. Another call may have been faster.
    fn add(&self, host: &Host) -> bool {
        let mut hosts = lock(&self.0);
        if let Some((_, standing)) = hosts.iter().find(|(known, _)| known == host) {
            return *standing != Standing::Misdirected;
        }
        let room = hosts.len() < ClientConfig::MAX_COALESCED_HOSTS;
        if room {
            hosts.push((host.clone(), Standing::Proved));
        }
        room
    }
}

impl<S: Session<Request>> Default for Coalescing<S> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
