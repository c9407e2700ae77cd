use std::{fmt, sync::Arc};

use chaski_core::{Description, Layer, Service};

/// Sends the inputs that match to another service; the rest goes on to the service below.
///
/// It is [`branch`](chaski_core::branch) as a layer: for a health check before everything else, or for the one host that
/// is answered here. [`matcher`](crate::matcher) puts tests together.
///
/// ```
/// use chaski_core::{Service, service_fn, stack};
/// use chaski_middleware::HijackLayer;
/// use std::convert::Infallible;
///
/// # async fn example() -> Result<(), Infallible> {
/// let health = service_fn(async |_: &'static str| Ok::<_, Infallible>("fine"));
/// let service = stack(
///     HijackLayer::new(|path: &&'static str| *path == "/health", health),
///     service_fn(async |_: &'static str| Ok::<_, Infallible>("the site")),
/// );
/// assert_eq!(service.serve("/health").await?, "fine");
/// assert_eq!(service.serve("/").await?, "the site");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// Those of the two services, which are of one type; the layer adds none.
///
/// # Cancel safety
///
/// Dropping a call drops the call of the service that was chosen.
///
/// # Order
///
/// What is hijacked passes only the layers outside of this one.
pub struct HijackLayer<P, H> {
    test: Arc<P>,
    other: Arc<H>,
}

impl<P, H> HijackLayer<P, H> {
    /// Inputs for which `test` holds go to `other`.
    #[must_use]
    pub fn new<Input>(test: P, other: H) -> Self
    where
        P: Fn(&Input) -> bool,
        H: Service<Input>,
    {
        Self { test: Arc::new(test), other: Arc::new(other) }
    }
}

impl<S, P, H> Layer<S> for HijackLayer<P, H> {
    type Service = Hijack<S, P, H>;

    fn layer(&self, inner: S) -> Hijack<S, P, H> {
        Hijack { inner, test: Arc::clone(&self.test), other: Arc::clone(&self.other) }
    }
}

impl<P, H> Clone for HijackLayer<P, H> {
    fn clone(&self) -> Self {
        Self { test: Arc::clone(&self.test), other: Arc::clone(&self.other) }
    }
}

impl<P, H> fmt::Debug for HijackLayer<P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HijackLayer").finish_non_exhaustive()
    }
}

/// A service that gives some of its inputs to another; made by [`HijackLayer`], where the contract stands.
pub struct Hijack<S, P, H> {
    inner: S,
    test: Arc<P>,
    other: Arc<H>,
}

impl<Input, S, P, H> Service<Input> for Hijack<S, P, H>
where
    Input: Send + 'static,
    S: Service<Input>,
    P: Fn(&Input) -> bool + Send + Sync + 'static,
    H: Service<Input, Output = S::Output, Error = S::Error>,
{
    type Output = S::Output;
    type Error = S::Error;

    async fn serve(&self, input: Input) -> Result<S::Output, S::Error> {
        if (self.test)(&input) { self.other.serve(input).await } else { self.inner.serve(input).await }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().child(self.other.describe().labelled("match")).child(self.inner.describe())
    }
}

impl<S: Clone, P, H> Clone for Hijack<S, P, H> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), test: Arc::clone(&self.test), other: Arc::clone(&self.other) }
    }
}

impl<S: fmt::Debug, P, H> fmt::Debug for Hijack<S, P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hijack").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chaski_core::{describe, stack, test_util::mock};

    use super::*;
    use crate::matcher::{not, or};

    #[tokio::test]
    async fn what_matches_goes_to_the_other_service_only() {
        let ((inner, mut below), (other, mut aside)) = (mock::<u8, u8, String>(), mock::<u8, u8, String>());
        let edge = or(|n: &u8| *n < 10, |n: &u8| *n > 90);
        let service = stack(HijackLayer::new(edge, other), inner);
        let (low, middle, high, ()) = tokio::join!(service.serve(9), service.serve(10), service.serve(91), async {
            for input in [9, 91] {
                let call = aside.next().await;
                assert_eq!(call.input, input);
                call.respond(Err("aside".to_owned()));
            }
            let call = below.next().await;
            assert_eq!(call.input, 10);
            call.respond(Ok(1));
        });
        assert_eq!((low, middle, high), (Err("aside".to_owned()), Ok(1), Err("aside".to_owned())));
        assert!(below.try_next().is_none() && aside.try_next().is_none());
    }

    #[test]
    fn it_shows_both_services() {
        let ((inner, _below), (other, _aside)) = (mock::<u8, u8, String>(), mock::<u8, u8, String>());
        let tree = describe::<u8, _>(&stack(HijackLayer::new(not(|n: &u8| *n > 3), other), inner)).to_string();
        assert_eq!(tree, "Hijack\n├─ match: MockService\n└─ MockService\n");
    }
}
