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
    by_number: Mutex<BTreeMap<u64, Claim>>,
    /// How many there are, to be read without the lock. Whoever adds one looks for a free place afterwards, and whoever frees
    /// a place looks for one afterwards: so neither misses the other.
    count: AtomicUsize,
}

struct Claim {
    key: Arc<Key>,
    /// How many calls that came later were given a connection while this one stood first.
    overtaken: usize,
}

/// As many have overtaken a claim as may.
pub(super) struct Enough;

impl Claims {
    pub(super) fn add(&self, number: u64, key: &Arc<Key>) {
        let mut claims = lock(&self.by_number);
        claims.insert(number, Claim { key: Arc::clone(key), overtaken: 0 });
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
        first.map(|(number, claim)| (number, claim.key))
    }

    /// Asks for the waiter `number` to be given a connection of its own key, though a claim may be older.
    pub(super) fn overtake(&self, number: u64, limit: usize) -> Result<(), Enough> {
        if self.is_empty() {
            return Ok(());
        }
        match lock(&self.by_number).first_entry() {
            Some(first) if *first.key() < number && first.get().overtaken >= limit => Err(Enough),
            Some(mut first) if *first.key() < number => {
                first.get_mut().overtaken += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(SeqCst) == 0
    }
}
