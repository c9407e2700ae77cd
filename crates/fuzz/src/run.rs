//! Running what waits: on a clock that stands still while there is something to do, for a bounded number of steps.

use std::{future::poll_fn, pin::pin, time::Duration};

use chaski_core::test_util::{Chunking, PipeDirection};
use tokio::time::Instant;

use crate::input::Choices;

/// More polls than any input of a few kilobytes needs, whatever the sizes of its pieces.
const STEPS: usize = 500_000;

/// Runs a future to its end.
///
/// # Panics
///
/// When it does not come to its end within `limit`, or keeps waking itself.
pub(crate) fn to_the_end<T>(limit: Duration, future: impl Future<Output = T>) -> T {
    // A runtime of its own for each input: the next one finds no task, no timer and no clock of this one, so that what is
    // found is found again.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without IO needs nothing from the system");
    runtime.block_on(async {
        let begun = Instant::now();
        let mut future = pin!(tokio::time::timeout(limit, future));
        let mut steps = 0;
        let outcome = poll_fn(|cx| {
            steps += 1;
            assert!(steps < STEPS, "it never stops waking itself");
            future.as_mut().poll(cx)
        });
        outcome.await.unwrap_or_else(|_| panic!("not over after {:?}", begun.elapsed()))
    })
}

/// How bytes go one way, by the choices at two places.
pub(crate) fn direction(choices: Choices, sizes: usize, ways: usize) -> PipeDirection {
    let chunking = match choices.pick(sizes, 6) {
        0 | 1 => Chunking::Whole,
        2 => Chunking::Bytes(1),
        3 => Chunking::Bytes(7),
        4 => Chunking::Random { seed: choices.seed(), max: 5 },
        _ => Chunking::Random { seed: choices.seed(), max: 200 },
    };
    PipeDirection {
        capacity: if choices.is(ways, 0) { 64 } else { 64 * 1024 },
        reads: chunking,
        writes: chunking,
        pending_first: choices.is(ways, 1),
        vectored: !choices.is(ways, 2),
        ..PipeDirection::default()
    }
}
