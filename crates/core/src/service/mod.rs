//! The one contract: a [`Service`] takes an input and gives an output.

mod boxed;
mod branch;
mod combinators;
mod function;

pub use boxed::BoxService;
pub use branch::{Branch, Either, branch};
pub use combinators::{Described, MapErr, MapInput, MapOutput, MapResult, ServiceExt, Then};
pub use function::{ServiceFn, ServiceFnWith, service_fn, service_fn_with};

use std::{future::Future, sync::Arc};

use crate::Description;

/// One input, one output: a TCP accept, a TLS handshake, an HTTP request, a DNS look-up.
///
/// There is no readiness and no `Clone` bound. A service is shared by reference (or [`Arc`]) and called concurrently;
/// back-pressure is explicit, by permits that are taken *before* work is accepted.
///
/// # Cancel safety
///
/// Dropping the future that [`serve`](Service::serve) returned cancels the work. What a service leaves behind when that
/// happens is part of its own documentation.
///
/// # Examples
///
/// ```
/// use chaski_core::{Service, service_fn};
/// use std::convert::Infallible;
///
/// # async fn example() -> Result<(), Infallible> {
/// let double = service_fn(async |n: u32| Ok::<_, Infallible>(n * 2));
/// assert_eq!(double.serve(21).await?, 42);
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service for the input `{Input}`",
    label = "not a `Service<{Input}>`: `service_fn(async |input| ..)` makes one of a closure, `service_fn_with(state, ..)` of one with state, `stack(layers, service)` of layers"
)]
pub trait Service<Input>: Send + Sync + 'static {
    /// What the service gives back.
    type Output: Send + 'static;

    /// How the service fails.
    type Error: Send + 'static;

    /// Serves one input.
    fn serve(&self, input: Input) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;

    /// The shape of this stack, for logs, docs and the inspector.
    ///
    /// On a stack that is generic over its input, call [`describe`](crate::describe()) instead: method syntax cannot
    /// tell which input is meant.
    fn describe(&self) -> Description {
        Description::of::<Self>()
    }
}

impl<Input, S> Service<Input> for Arc<S>
where
    S: Service<Input> + ?Sized,
{
    type Output = S::Output;
    type Error = S::Error;

    #[inline]
    fn serve(&self, input: Input) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send {
        (**self).serve(input)
    }

    fn describe(&self) -> Description {
        (**self).describe()
    }
}

/// Says that `service` serves `Input`, and gives it back unchanged.
///
/// Its bounds are short on purpose: put it where a deep stack does not compile, and the error names the part that does
/// not fit at the line of the call.
///
/// ```
/// use chaski_core::{check, service_fn};
/// use std::convert::Infallible;
///
/// let shout = check::<String, _>(service_fn(async |s: String| Ok::<_, Infallible>(s.to_uppercase())));
/// # let _ = shout;
/// ```
#[inline]
pub fn check<Input, S: Service<Input>>(service: S) -> S {
    service
}

#[cfg(test)]
mod tests;
