use std::time::Duration;

use chaski_core::{Description, Elapsed, Layer, Service};

use crate::LayerError;

/// Gives each call of the service below a time limit.
///
/// The clock starts when the call's future is first polled, and stops at the output. What the output itself still has to
/// do, such as a body that streams, is not covered.
///
/// # Errors
///
/// [`LayerError::Layer`] with an [`Elapsed`] when the limit passed; [`LayerError::Inner`] is the inner service's error.
/// An inner call that is ready in the same poll in which the limit passed wins.
///
/// # Cancel safety
///
/// When the limit passes the inner future is dropped, as it is when the caller drops the call: what was done up to there
/// stays done. Below this layer belongs only what may be cancelled.
///
/// # Order
///
/// Outside a limit the time spent waiting for a permit counts, inside it does not. Outside a retry the limit is for all
/// attempts together, inside for each.
///
/// # Limits
///
/// The limit is measured in tokio's milliseconds. One timer for a call, and none when the inner call is ready at its
/// first poll. A limit of zero lets only such calls through.
///
/// # Panics
///
/// A call panics outside of a tokio runtime with time enabled.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutLayer {
    limit: Elapsed,
}

impl TimeoutLayer {
    /// A limit for each call.
    #[must_use]
    pub const fn new(limit: Duration) -> Self {
        Self { limit: Elapsed { what: "the call", limit } }
    }

    /// Names in the error what was waited for, such as `"the TLS handshake"`.
    #[must_use]
    pub const fn with_name(mut self, what: &'static str) -> Self {
        self.limit.what = what;
        self
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, limit: self.limit }
    }
}

/// A service with a time limit for each call; made by [`TimeoutLayer`], where the contract stands.
#[derive(Clone, Copy, Debug)]
pub struct Timeout<S> {
    inner: S,
    limit: Elapsed,
}

impl<Input, S> Service<Input> for Timeout<S>
where
    Input: Send + 'static,
    S: Service<Input>,
{
    type Output = S::Output;
    type Error = LayerError<Elapsed, S::Error>;

    async fn serve(&self, input: Input) -> Result<S::Output, Self::Error> {
        match tokio::time::timeout(self.limit.limit, self.inner.serve(input)).await {
            Ok(result) => result.map_err(LayerError::Inner),
            Err(_) => Err(LayerError::Layer(self.limit)),
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().setting("limit", format_args!("{:?}", self.limit.limit)).child(self.inner.describe())
    }
}

#[cfg(test)]
mod tests {
    use chaski_core::{
        describe, stack,
        test_util::{assert_describes_child, mock},
    };
    use tokio::time::{Instant, sleep};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn a_call_in_time_gives_its_own_result() {
        let (inner, mut handle) = mock::<u8, u8, String>();
        let service = stack(TimeoutLayer::new(LIMIT), inner);
        let (ok, err, ()) = tokio::join!(service.serve(1), service.serve(2), async {
            let (first, second) = (handle.next().await, handle.next().await);
            sleep(LIMIT - Duration::from_millis(1)).await;
            first.respond(Ok(10));
            second.respond(Err("no".to_owned()));
        });
        assert_eq!(ok, Ok(10));
        assert_eq!(err, Err(LayerError::Inner("no".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_is_dropped_at_the_limit() {
        let (inner, mut handle) = mock::<u8, u8, String>();
        let service = stack(TimeoutLayer::new(LIMIT).with_name("the look-up"), inner);
        let start = Instant::now();
        let (result, ()) = tokio::join!(service.serve(1), async {
            let mut call = handle.next().await;
            call.cancelled().await;
        });
        let elapsed = Elapsed { what: "the look-up", limit: LIMIT };
        assert_eq!(result, Err(LayerError::Layer(elapsed)));
        assert_eq!(elapsed.to_string(), "the look-up took longer than 3s");
        assert_eq!(start.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_zero_lets_a_call_through_that_is_ready() {
        let ready = chaski_core::service_fn(async |n: u8| Ok::<_, String>(n));
        assert_eq!(stack(TimeoutLayer::new(Duration::ZERO), ready).serve(7).await, Ok(7));
    }

    #[test]
    fn it_shows_its_limit_and_what_it_wraps() {
        let tree = describe::<u8, _>(&stack(TimeoutLayer::new(LIMIT), mock::<u8, u8, String>().0));
        assert!(tree.to_string().starts_with("Timeout limit=3s\n"), "{tree}");
        assert_describes_child(&tree, "MockService");
    }
}
