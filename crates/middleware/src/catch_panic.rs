use std::{
    any::Any,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use chaski_core::{Description, Layer, Service};

use crate::LayerError;

/// Makes an error of a panic in the service below.
///
/// The panic hook has run by then, so whoever reports panics has reported this one.
///
/// ```
/// use chaski_core::{Service, service_fn, stack};
/// use chaski_middleware::{CatchPanicLayer, LayerError};
///
/// # async fn example() {
/// let halve = service_fn(async |n: u8| if n % 2 == 0 { Ok::<_, String>(n / 2) } else { panic!("odd: {n}") });
/// let service = stack(CatchPanicLayer::new(), halve);
/// assert_eq!(service.serve(8).await, Ok(4));
///
/// let Err(LayerError::Layer(panicked)) = service.serve(7).await else { unreachable!() };
/// assert_eq!(panicked.message(), Some("odd: 7"));
/// # }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example());
/// ```
///
/// # Errors
///
/// [`LayerError::Layer`] with [`Panicked`] when the inner service panicked, while it made its future or while that was
/// polled; [`LayerError::Inner`] is its error. A panic in a destructor, when the call is dropped, is not caught.
///
/// # Cancel safety
///
/// Dropping a call drops the inner call.
///
/// # Order
///
/// Around the least that may panic: what stands inside was unwound and forgets the call. State that calls share has to
/// be in order after a panic; a `std` mutex that was locked is poisoned.
///
/// # Limits
///
/// Works only where panics unwind; with `panic = "abort"` the process ends first. It costs no allocation unless the
/// service panics.
#[derive(Clone, Copy, Debug, Default)]
pub struct CatchPanicLayer {
    _private: (),
}

impl CatchPanicLayer {
    /// The layer. It has no settings.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl<S> Layer<S> for CatchPanicLayer {
    type Service = CatchPanic<S>;

    fn layer(&self, inner: S) -> CatchPanic<S> {
        CatchPanic { inner }
    }
}

/// A service whose panics are errors; made by [`CatchPanicLayer`], where the contract stands.
#[derive(Clone, Copy, Debug)]
pub struct CatchPanic<S> {
    inner: S,
}

impl<Input, S> Service<Input> for CatchPanic<S>
where
    Input: Send + 'static,
    S: Service<Input>,
{
    type Output = S::Output;
    type Error = LayerError<Panicked, S::Error>;

    async fn serve(&self, input: Input) -> Result<S::Output, Self::Error> {
        // In a block of its own, so that making the future happens under the guard too.
        let mut call = pin!(async move { self.inner.serve(input).await });
        poll_fn(|context| {
            // The call is not polled again after a panic, so nobody sees what the panic left half done in it.
            match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))) {
                Ok(poll) => poll.map_err(LayerError::Inner),
                Err(payload) => Poll::Ready(Err(LayerError::Layer(Panicked::new(payload)))),
            }
        })
        .await
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().child(self.inner.describe())
    }
}

/// The service panicked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service panicked{}{}", if message.is_some() { ": " } else { "" }, message.as_deref().unwrap_or_default())]
pub struct Panicked {
    message: Option<Box<str>>,
}

impl Panicked {
    /// What the panic said, if it was text.
    ///
    /// It speaks to the authors of the service; do not send it to a peer.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(text) => Some(text.into_boxed_str()),
            Err(payload) => match payload.downcast::<&'static str>() {
                Ok(text) => Some(Box::from(*text)),
                Err(payload) => {
                    // A value of any type, whose destructor may panic in its turn: it is dropped under a guard, and
                    // what that catches is leaked rather than dropped again.
                    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                        std::mem::forget(second);
                    }
                    None
                }
            },
        };
        Self { message }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, panic::panic_any};

    use chaski_core::{
        describe, service_fn, stack,
        test_util::{assert_describes_child, mock},
    };

    use super::*;

    /// Panics when it is called, before there is a future.
    struct Early;

    impl Service<u8> for Early {
        type Output = u8;
        type Error = String;

        fn serve(&self, input: u8) -> impl Future<Output = Result<u8, String>> + Send {
            assert!(input != 0, "early");
            async move { Ok(input) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_an_error_before_and_after_the_first_await() {
        let early = stack(CatchPanicLayer::new(), Early);
        let error = early.serve(0).await.unwrap_err();
        assert_eq!(error.to_string(), "the service panicked: early");
        assert_eq!(early.serve(1).await, Ok(1), "and the service goes on");

        let late = service_fn(async |n: u8| {
            tokio::task::yield_now().await;
            if n == 0 { panic!("late {n}") } else { Err::<u8, _>("no".to_owned()) }
        });
        let late = stack(CatchPanicLayer::new(), late);
        let Err(LayerError::Layer(panicked)) = late.serve(0).await else { panic!("not caught") };
        assert_eq!(panicked.message(), Some("late 0"));
        assert_eq!(late.serve(1).await, Err(LayerError::Inner("no".to_owned())));
    }

    #[tokio::test]
    async fn a_panic_with_a_value_that_panics_again_is_caught() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let service = service_fn(async |()| -> Result<(), String> { panic_any(Bomb) });
        let error = stack(CatchPanicLayer::new(), service).serve(()).await.unwrap_err();
        assert_eq!(error.to_string(), "the service panicked");
    }

    #[tokio::test]
    async fn a_dropped_call_drops_the_inner_one() {
        let (inner, mut handle) = mock::<u8, u8, String>();
        let service = stack(CatchPanicLayer::new(), inner);
        let mut call = tokio::select! {
            biased;
            _ = service.serve(1) => unreachable!("nobody has answered"),
            call = handle.next() => call,
        };
        call.cancelled().await;
    }

    #[test]
    fn it_shows_what_it_wraps() {
        let tree = describe::<u8, _>(&stack(CatchPanicLayer::new(), mock::<u8, u8, String>().0));
        assert!(tree.to_string().starts_with("CatchPanic\n"), "{tree}");
        assert_describes_child(&tree, "MockService");
    }
}
