use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chaski_core::{Description, Layer, Service};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::LayerError;

/// Bounds how many calls of the service below are in flight at once.
///
/// A permit is taken before the inner service is called, and held until its future is done. A call that finds no free
/// permit is shed at once; with [`with_queue`](Self::with_queue) a chosen number of calls wait instead, first come, first
/// served, and those beyond are shed.
///
/// The limit belongs to the layer: the services that one layer and its clones make share it.
///
/// ```
/// use chaski_core::{Service, service_fn, stack};
/// use chaski_middleware::{ConcurrencyLimitLayer, LayerError, Shed};
/// use std::convert::Infallible;
///
/// # async fn example() {
/// let closed = stack(ConcurrencyLimitLayer::new(0), service_fn(async |n: u8| Ok::<_, Infallible>(n)));
/// assert_eq!(closed.serve(1).await, Err(LayerError::Layer(Shed)));
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
/// ```
///
/// # Errors
///
/// [`LayerError::Layer`] with [`Shed`] when permits and queue are full: the inner service was not called.
/// [`LayerError::Inner`] is the inner service's error.
///
/// # Cancel safety
///
/// Dropping a call gives its permit, or its place in the queue, back at once.
///
/// # Order
///
/// Outside of whatever is dear, so that what is shed costs nothing. A timeout outside of it counts the time in the queue
/// and keeps that short; one inside does not.
///
/// # Limits
///
/// Both bounds are the caller's. A waiting call keeps its input in memory. A call that was just handed a permit counts
/// as waiting until its task runs, so a full queue may shed a moment early and never late.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimitLayer {
    shared: Arc<Shared>,
    queue: usize,
}

impl ConcurrencyLimitLayer {
    /// At most `limit` calls at once; none waits. With 0 every call is shed.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        // Tokio counts no further, and nobody has so many calls.
        let limit = limit.min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared { limit, permits: Semaphore::new(limit), waiting: AtomicUsize::new(0) }),
            queue: 0,
        }
    }

    /// Lets this many calls wait for a permit. The calls that wait are counted for all clones together.
    #[must_use]
    pub fn with_queue(mut self, waiting: usize) -> Self {
        self.queue = waiting;
        self
    }
}

impl<S> Layer<S> for ConcurrencyLimitLayer {
    type Service = ConcurrencyLimit<S>;

    fn layer(&self, inner: S) -> ConcurrencyLimit<S> {
        ConcurrencyLimit { inner, shared: Arc::clone(&self.shared), queue: self.queue }
    }
}

/// A service with a bound on its calls in flight; made by [`ConcurrencyLimitLayer`], where the contract stands.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit<S> {
    inner: S,
    shared: Arc<Shared>,
    queue: usize,
}

impl<Input, S> Service<Input> for ConcurrencyLimit<S>
where
    Input: Send + 'static,
    S: Service<Input>,
{
    type Output = S::Output;
    type Error = LayerError<Shed, S::Error>;

    async fn serve(&self, input: Input) -> Result<S::Output, Self::Error> {
        let _permit = self.shared.permit(self.queue).await.map_err(LayerError::Layer)?;
        self.inner.serve(input).await.map_err(LayerError::Inner)
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .setting("limit", self.shared.limit)
            .setting("queue", self.queue)
            .child(self.inner.describe())
    }
}

/// As many calls are in flight, and as many wait, as [`ConcurrencyLimitLayer`] allows. The call was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many calls at once")]
pub struct Shed;

#[derive(Debug)]
struct Shared {
    limit: usize,
    permits: Semaphore,
    waiting: AtomicUsize,
}

impl Shared {
    async fn permit(&self, queue: usize) -> Result<SemaphorePermit<'_>, Shed> {
        // A permit given back goes to those that wait, so this never overtakes them.
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        // Without permits nobody would ever be let out of the queue.
        if self.limit == 0 {
            return Err(Shed);
        }
        let _place = Place::take(&self.waiting, queue).ok_or(Shed)?;
        // It fails only when it is closed, and nobody closes it.
        self.permits.acquire().await.map_err(|_| Shed)
    }
}

/// A place in the queue, given back on drop.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, queue: usize) -> Option<Self> {
        // Only the count matters: the semaphore orders what the calls do.
        let one_more = |taken: usize| (taken < queue).then_some(taken + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok().map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin, time::Duration};

    use chaski_core::{
        describe, service_fn_with, stack,
        test_util::{MockHandle, MockService, assert_describes_child, mock},
    };
    use tokio::time::timeout;

    use super::*;
    use crate::CatchPanicLayer;

    type Call = Pin<Box<dyn Future<Output = Result<u8, LayerError<Shed, String>>>>>;
    type Limited = Arc<ConcurrencyLimit<MockService<u8, u8, String>>>;

    fn limited(layer: &ConcurrencyLimitLayer) -> (Limited, MockHandle<u8, u8, String>) {
        let (inner, handle) = mock();
        (Arc::new(stack(layer, inner)), handle)
    }

    /// A call that was polled until it waits for the mock or for a permit.
    async fn begun(service: &Limited, input: u8) -> Call {
        let service = Arc::clone(service);
        let mut call: Call = Box::pin(async move { service.serve(input).await });
        assert!(timeout(Duration::ZERO, &mut call).await.is_err(), "nobody has answered call {input}");
        call
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_beyond_the_limit_is_shed_at_once() {
        let (service, mut handle) = limited(&ConcurrencyLimitLayer::new(2));
        let (one, two) = (begun(&service, 1).await, begun(&service, 2).await);
        assert_eq!(timeout(Duration::ZERO, service.serve(3)).await, Ok(Err(LayerError::Layer(Shed))));

        let (first, second) = (handle.try_next().unwrap(), handle.try_next().unwrap());
        assert!(handle.try_next().is_none(), "what was shed never reached the service");
        first.respond(Ok(10));
        second.respond(Err("no".to_owned()));
        assert_eq!(one.await, Ok(10));
        assert_eq!(two.await, Err(LayerError::Inner("no".to_owned())));

        let _three = begun(&service, 3).await;
        assert_eq!(handle.try_next().unwrap().input, 3, "permits came back, also after an error");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_wait_in_turn_and_those_beyond_the_queue_are_shed() {
        let (service, mut handle) = limited(&ConcurrencyLimitLayer::new(1).with_queue(2));
        let one = begun(&service, 1).await;
        let (two, three) = (begun(&service, 2).await, begun(&service, 3).await);
        assert_eq!(timeout(Duration::ZERO, service.serve(4)).await, Ok(Err(LayerError::Layer(Shed))));

        handle.try_next().unwrap().respond(Ok(10));
        assert!(handle.try_next().is_none(), "the others still wait");
        assert_eq!(one.await, Ok(10));
        let answer = async {
            for expected in [2, 3] {
                let call = handle.next().await;
                assert_eq!(call.input, expected);
                call.respond(Ok(expected * 10));
            }
        };
        let (two, three, ()) = tokio::join!(two, three, answer);
        assert_eq!((two, three), (Ok(20), Ok(30)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_gives_its_permit_or_its_place_back() {
        let (service, mut handle) = limited(&ConcurrencyLimitLayer::new(1).with_queue(1));
        let one = begun(&service, 1).await;
        let two = begun(&service, 2).await;
        assert_eq!(timeout(Duration::ZERO, service.serve(3)).await, Ok(Err(LayerError::Layer(Shed))));
        drop(two);
        let mut three = begun(&service, 3).await;
        drop(one);
        assert!(handle.try_next().unwrap().is_cancelled());
        assert!(timeout(Duration::ZERO, &mut three).await.is_err());
        assert_eq!(handle.try_next().unwrap().input, 3, "the permit went to the one that waited");

        // Handed a permit and dropped before it ran: the permit is not lost with it.
        let four = begun(&service, 4).await;
        drop(three);
        drop(four);
        let _five = begun(&service, 5).await;
        assert_eq!(handle.try_next().unwrap().input, 5);
    }

    /// A permit is given back when the call below has been dropped, not before: what that holds counts as in flight.
    #[tokio::test(start_paused = true)]
    async fn a_panic_gives_the_permit_back_and_a_dropped_call_is_gone_by_then() {
        let layer = ConcurrencyLimitLayer::new(1);
        let free = Arc::clone(&layer.shared);
        struct Gone(Arc<Shared>);
        impl Drop for Gone {
            fn drop(&mut self) {
                assert_eq!(self.0.permits.available_permits(), 0, "it still counts");
            }
        }
        let inner = service_fn_with(Arc::clone(&free), async |free: Arc<Shared>, n: u8| {
            let _gone = Gone(free);
            tokio::task::yield_now().await;
            if n == 0 { panic!("zero") } else { Ok::<_, String>(n) }
        });
        let service = stack((CatchPanicLayer::new(), layer), inner);
        assert!(service.serve(0).await.is_err());
        assert_eq!(free.permits.available_permits(), 1);
        assert!(timeout(Duration::ZERO, service.serve(0)).await.is_err(), "dropped at the yield");
        assert_eq!(free.permits.available_permits(), 1);
        assert_eq!(service.serve(1).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn services_of_one_layer_share_its_limit() {
        let layer = ConcurrencyLimitLayer::new(1);
        let (first, _handle) = limited(&layer);
        let (second, _handle) = limited(&layer.clone());
        let _one = begun(&first, 1).await;
        assert_eq!(timeout(Duration::ZERO, second.serve(2)).await, Ok(Err(LayerError::Layer(Shed))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_zero_sheds_in_spite_of_a_queue() {
        let (service, _handle) = limited(&ConcurrencyLimitLayer::new(0).with_queue(9));
        assert_eq!(timeout(Duration::ZERO, service.serve(1)).await, Ok(Err(LayerError::Layer(Shed))));
    }

    #[test]
    fn it_shows_its_bounds_and_what_it_wraps() {
        let (service, _handle) = limited(&ConcurrencyLimitLayer::new(3).with_queue(4));
        let tree = describe::<u8, _>(&service);
        assert!(tree.to_string().starts_with("ConcurrencyLimit limit=3 queue=4\n"), "{tree}");
        assert_describes_child(&tree, "MockService");
        // More than tokio can count is no reason to panic.
        let _ = ConcurrencyLimitLayer::new(usize::MAX);
    }
}
