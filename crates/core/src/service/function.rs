use std::{fmt, future::Future};

use crate::{Description, Service};

/// Makes a service from a function or a closure that captures nothing asynchronous.
///
/// State is given with [`service_fn_with`]: an async closure that captures is not `Fn`, so it cannot be a service.
///
/// The bounds say what the [`Service`] asks again: here, a mistake in a closure is told at the closure, not where the
/// service is used.
pub const fn service_fn<I, F: Fn(I) -> Fut, Fut: Future<Output = Result<O, E>> + Send, O, E>(
    function: F,
) -> ServiceFn<F> {
    ServiceFn { function }
}

/// Makes a service from a state and a function of that state and the input.
///
/// The state is cloned for every call, so hand over an [`Arc`](std::sync::Arc) when a clone would be dear.
///
/// ```
/// use chaski_core::{Service, service_fn_with};
/// use std::{convert::Infallible, sync::Arc};
///
/// # async fn example() -> Result<(), Infallible> {
/// let greeting = Arc::new(String::from("hello"));
/// let greet = service_fn_with(greeting, async |greeting: Arc<String>, name: &'static str| {
///     Ok::<_, Infallible>(format!("{greeting}, {name}"))
/// });
/// assert_eq!(greet.serve("world").await?, "hello, world");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
pub const fn service_fn_with<State, I, F, Fut, O, E>(state: State, function: F) -> ServiceFnWith<State, F>
where
    F: Fn(State, I) -> Fut,
    Fut: Future<Output = Result<O, E>> + Send,
{
    ServiceFnWith { state, function }
}

/// A service made by [`service_fn`].
#[derive(Clone, Copy)]
pub struct ServiceFn<F> {
    function: F,
}

impl<Input, F, Fut, Output, Error> Service<Input> for ServiceFn<F>
where
    F: Fn(Input) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Output, Error>> + Send,
    Output: Send + 'static,
    Error: Send + 'static,
{
    type Output = Output;
    type Error = Error;

    #[inline]
    fn serve(&self, input: Input) -> impl Future<Output = Result<Output, Error>> + Send {
        (self.function)(input)
    }

    fn describe(&self) -> Description {
        Description::function::<F>("service_fn")
    }
}

impl<F> fmt::Debug for ServiceFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFn").finish_non_exhaustive()
    }
}

/// A service made by [`service_fn_with`].
#[derive(Clone, Copy)]
pub struct ServiceFnWith<State, F> {
    state: State,
    function: F,
}

impl<Input, State, F, Fut, Output, Error> Service<Input> for ServiceFnWith<State, F>
where
    State: Clone + Send + Sync + 'static,
    F: Fn(State, Input) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Output, Error>> + Send,
    Output: Send + 'static,
    Error: Send + 'static,
{
    type Output = Output;
    type Error = Error;

    #[inline]
    fn serve(&self, input: Input) -> impl Future<Output = Result<Output, Error>> + Send {
        (self.function)(self.state.clone(), input)
    }

    fn describe(&self) -> Description {
        Description::function::<F>("service_fn_with")
    }
}

impl<State, F> fmt::Debug for ServiceFnWith<State, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFnWith").finish_non_exhaustive()
    }
}
