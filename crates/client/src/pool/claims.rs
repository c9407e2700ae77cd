//! Who waits for a place of any kind.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use super::lock;
use crate::target::Key;

/// The keys whose first waiter could dial but for the limit in all, by the number of that waiter: so that places are given
/// in the order in which calls came, whatever they are for.
#[derive(Default)]
pub(super) struct Claims {
    by_number: Mutex<BTreeMap<u64, Arc<Key>>>,
    /// How many there are, to be read without the lock. Whoever adds one looks for a free place afterwards, and whoever frees
    /// a place looks for one afterwards: so neither misses the other.
    count: AtomicUsize,
}

impl Claims {
    pub(super) fn add(&self, number: u64, key: &Arc<Key>) {
        let mut claims = lock(&self.by_number);
        claims.insert(number, Arc::clone(key));
        self.count.store(claims.len(), SeqCst);
    }

    pub(super) fn withdraw(&self, number: u64) {
        let mut claims = lock(&self.by_number);
        claims.remove(&number);
        self.count.store(claims.len(), SeqCst);
    }

    pub(super) fn pop(&self) -> Option<(u64, Arc<Key>)> {
        let mut claims = lock(&self.by_number);
        let first = claims.pop_first();
        self.count.store(claims.len(), SeqCst);
        first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }
}
