//! Header maps that are used again.
//!
//! They are the thread's, not the connection's: a message in flight needs one, and the many connections that are idle do not.

use std::cell::RefCell;

use http::HeaderMap;

use super::error::{HeadError, HeadFault};

/// Maps larger than this are not kept: one unusual message shall not decide
/// what its thread holds from then on.
const MAX_CAPACITY: usize = 64;

/// A new map has room for this many names at least, so that an ordinary message, and what is added to it on the way, does
/// not make it grow: that costs more than the map itself.
const MIN_CAPACITY: usize = 12;

/// The most maps that a thread keeps: as many as messages are in flight on a busy one. Most of them have the least capacity
/// and so 1.3 KiB; all of them at the largest are 0.5 MiB.
const MAX_SPARE: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// Clears a map and keeps it if its size is worth it.
#[inline]
pub(super) fn put(mut map: HeaderMap) {
    if map.capacity() == 0 || map.capacity() > MAX_CAPACITY {
        return;
    }
    // Before the pool is borrowed: values may run foreign code when they are dropped.
    map.clear();
    // A thread that is ending has no pool any more.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            spare.push(map);
        }
    });
}

/// An empty map with room for `count` names.
#[inline]
pub(super) fn take(count: usize, limit: usize) -> Result<HeaderMap, HeadError> {
    match SPARE.try_with(|spare| spare.borrow_mut().pop()) {
        Ok(Some(map)) if map.capacity() >= count => Ok(map),
        _ => make(count, limit),
    }
}

#[cold]
fn make(count: usize, limit: usize) -> Result<HeaderMap, HeadError> {
    HeaderMap::try_with_capacity(count.max(MIN_CAPACITY))
        .map_err(|_| HeadError::new(HeadFault::TooManyHeaders { limit }, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_used_again_and_an_unusual_one_is_not_kept() {
        let mut map = HeaderMap::with_capacity(6);
        map.insert("a", http::HeaderValue::from_static("b"));
        put(map);
        let again = take(6, 100).unwrap();
        assert!(again.is_empty());
        assert_eq!(SPARE.with_borrow(Vec::len), 0);
        assert_eq!(take(1, 100).unwrap().capacity(), MIN_CAPACITY);
        put(HeaderMap::with_capacity(100));
        assert_eq!(SPARE.with_borrow(Vec::len), 0);
        for _ in 0..=MAX_SPARE {
            put(HeaderMap::with_capacity(6));
        }
        assert_eq!(SPARE.with_borrow(Vec::len), MAX_SPARE);
    }
}
