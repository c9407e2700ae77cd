use std::num::NonZeroUsize;

use chaski_core::{Description, Service};

use super::WORKER;

/// A service for each thread of [`Workers`](super::Workers): a call goes to that of the thread on which it is made.
///
/// Put it where threads should share nothing, such as around a client, whose connections then stay on the thread that opened
/// them; what stands above it is still one for all. Calls from other threads go to the first.
///
/// ```
/// use chaski_net::PerWorker;
/// use std::{num::NonZeroUsize, sync::atomic::{AtomicUsize, Ordering}};
/// use chaski_core::{Service, service_fn_with};
///
/// # async fn example() -> Result<(), std::convert::Infallible> {
/// let mut pools = 0;
/// let pools = PerWorker::new(NonZeroUsize::new(2).unwrap(), || {
///     pools += 1;
///     service_fn_with(pools, async |pool: usize, _: ()| Ok::<_, std::convert::Infallible>(pool))
/// });
/// assert_eq!(pools.serve(()).await?, 1, "no worker's thread");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Debug)]
pub struct PerWorker<S> {
    first: S,
    others: Vec<S>,
}

impl<S> PerWorker<S> {
    /// Makes so many.
    pub fn new(workers: NonZeroUsize, mut make: impl FnMut() -> S) -> Self {
        Self { first: make(), others: (1..workers.get()).map(|_| make()).collect() }
    }

    fn of_this_thread(&self) -> &S {
        let others = WORKER.get().and_then(|number| self.others.get(number.checked_sub(1)?));
        others.unwrap_or(&self.first)
    }
}

impl<S: Service<Input>, Input: Send> Service<Input> for PerWorker<S> {
    type Output = S::Output;
    type Error = S::Error;

    fn serve(&self, input: Input) -> impl Future<Output = Result<S::Output, S::Error>> + Send {
        self.of_this_thread().serve(input)
    }

    fn describe(&self) -> Description {
        // They are all alike.
        Description::of::<Self>().setting("services", self.others.len() + 1).child(self.first.describe())
    }
}
