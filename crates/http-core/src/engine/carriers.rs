//! The memory of messages' extensions, used again.
//!
//! A scope travels in its message's extensions, which are a table of their own for each message: what carried one answer's
//! carries that of a later request. They are the thread's, so that an idle connection holds none.

use std::cell::RefCell;

use chaski_core::http::empty_extensions;
use http::Extensions;

/// Extensions with more values than this are not kept: their table may be of any size.
const MAX_VALUES: usize = 8;

/// The most that a thread keeps, of a few hundred bytes each: as many as messages are in flight on a busy one.
const MAX_SPARE: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Extensions>> = const { RefCell::new(Vec::new()) };
}

/// Extensions without anything in them but what [`empty_extensions`] leaves, for a message that is given a scope.
#[inline]
pub(crate) fn take_extensions() -> Extensions {
    SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default()
}

/// Clears extensions and keeps their memory, if they have any.
#[inline]
pub(crate) fn put_extensions(mut extensions: Extensions) {
    if extensions.is_empty() || extensions.len() > MAX_VALUES {
        return;
    }
    // Before the pool is borrowed: values may run foreign code when they are dropped.
    empty_extensions(&mut extensions);
    // A thread that is ending has no pool any more.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            spare.push(extensions);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_one() -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(1_u8);
        extensions
    }

    #[test]
    fn what_is_kept_is_empty_and_limited() {
        put_extensions(Extensions::new());
        assert_eq!(SPARE.with_borrow(Vec::len), 0, "nothing is gained by these");
        put_extensions(with_one());
        assert!(take_extensions().is_empty());
        assert_eq!(SPARE.with_borrow(Vec::len), 0);
        for _ in 0..=MAX_SPARE {
            put_extensions(with_one());
        }
        assert_eq!(SPARE.with_borrow(Vec::len), MAX_SPARE);
    }
}
