//! Verifications under way, so that the same credentials are not verified twice at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use super::table::Digest;

/// The results that are waited for, as many as there are different credentials among the requests that wait.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Digest, Waited>>);

struct Waited {
    by: usize,
    /// The one who fills it may be dropped: then the next of those who wait takes over.
    result: Arc<OnceCell<bool>>,
}

/// One who waits. The last one takes the result away.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    digest: Digest,
    result: Arc<OnceCell<bool>>,
}

impl Flights {
    pub(super) fn join(&self, digest: Digest) -> Flight<'_> {
        let mut flights = self.lock();
        let waited = flights.entry(digest).or_insert_with(|| Waited { by: 0, result: Arc::default() });
        waited.by += 1;
        let result = Arc::clone(&waited.result);
        Flight { flights: self, digest, result }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Waited>> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}

impl Flight<'_> {
    pub(super) fn result(&self) -> &OnceCell<bool> {
        &self.result
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        if let Some(waited) = flights.get_mut(&self.digest) {
            waited.by -= 1;
            if waited.by == 0 {
                flights.remove(&self.digest);
            }
        }
    }
}
