use std::future::Future;

use crate::{BoxService, Description, Service};

/// Combinators for services. Each names the inner future once, so that types stay linear in the depth of a stack.
///
/// The trait has no input parameter: a stack that is generic over its input combines without naming one.
pub trait ServiceExt: Sized {
    /// Feeds this service's output to `next`; both must fail alike (see [`map_err`](Self::map_err)).
    fn then<N>(self, next: N) -> Then<Self, N> {
        Then { first: self, next }
    }

    /// Changes the input before this service sees it.
    fn map_input<F>(self, function: F) -> MapInput<Self, F> {
        MapInput { inner: self, function }
    }

    /// Changes the output.
    fn map_output<F>(self, function: F) -> MapOutput<Self, F> {
        MapOutput { inner: self, function }
    }

    /// Changes the error.
    fn map_err<F>(self, function: F) -> MapErr<Self, F> {
        MapErr { inner: self, function }
    }

    /// Changes the whole result: makes an answer of an error, or an error of an answer.
    ///
    /// ```
    /// use chaski_core::{Service, ServiceExt, service_fn};
    /// use std::{convert::Infallible, num::ParseIntError};
    ///
    /// # async fn example() -> Result<(), Infallible> {
    /// let parse = service_fn(async |text: &'static str| text.parse::<u8>())
    ///     .map_result(|result: Result<u8, ParseIntError>| Ok::<_, Infallible>(result.map_or("no number", |_| "a number")));
    /// assert_eq!(parse.serve("x").await?, "no number");
    /// # Ok(()) }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
    /// ```
    fn map_result<F>(self, function: F) -> MapResult<Self, F> {
        MapResult { inner: self, function }
    }

    /// Changes what this service tells of itself in [`describe()`](crate::describe()), such as which facts a handler goes by.
    ///
    /// ```
    /// use chaski_core::{Conn, Description, ServiceExt, describe, service_fn};
    /// use std::convert::Infallible;
    ///
    /// #[derive(Debug)]
    /// struct Tenant(&'static str);
    ///
    /// let greet = service_fn(async |conn: Conn<()>| Ok::<_, Infallible>(conn.ext.get::<Tenant>().map(|tenant| tenant.0)))
    ///     .described(|_| Description::named("greet").reads::<Tenant>());
    /// assert_eq!(describe::<Conn<()>, _>(&greet).to_string(), "greet  reads Tenant (written by nobody above)\n");
    /// ```
    fn described<F>(self, function: F) -> Described<Self, F>
    where
        F: Fn(Description) -> Description,
    {
        Described { inner: self, function }
    }

    /// Hides the type behind a [`BoxService`]. Costs one allocation for each call.
    fn boxed<Input>(self) -> BoxService<Input, Self::Output, Self::Error>
    where
        Self: Service<Input>,
        Input: Send + 'static,
    {
        BoxService::new(self)
    }
}

impl<S> ServiceExt for S {}

/// One service after another; made by [`ServiceExt::then`].
#[derive(Clone, Copy, Debug)]
pub struct Then<A, B> {
    first: A,
    next: B,
}

impl<Input, A, B> Service<Input> for Then<A, B>
where
    Input: Send + 'static,
    A: Service<Input>,
    B: Service<A::Output, Error = A::Error>,
{
    type Output = B::Output;
    type Error = A::Error;

    async fn serve(&self, input: Input) -> Result<B::Output, A::Error> {
        let middle = self.first.serve(input).await?;
        self.next.serve(middle).await
    }

    fn describe(&self) -> Description {
        Description::named("then").child(self.first.describe()).child(self.next.describe()).in_sequence()
    }
}

/// Made by [`ServiceExt::map_input`].
#[derive(Clone, Copy, Debug)]
pub struct MapInput<S, F> {
    inner: S,
    function: F,
}

impl<Input, Inner, S, F> Service<Input> for MapInput<S, F>
where
    S: Service<Inner>,
    F: Fn(Input) -> Inner + Send + Sync + 'static,
{
    type Output = S::Output;
    type Error = S::Error;

    #[inline]
    fn serve(&self, input: Input) -> impl Future<Output = Result<S::Output, S::Error>> + Send {
        self.inner.serve((self.function)(input))
    }

    fn describe(&self) -> Description {
        Description::named("map_input").child(self.inner.describe())
    }
}

/// Made by [`ServiceExt::map_output`].
#[derive(Clone, Copy, Debug)]
pub struct MapOutput<S, F> {
    inner: S,
    function: F,
}

impl<Input, Output, S, F> Service<Input> for MapOutput<S, F>
where
    Input: Send + 'static,
    Output: Send + 'static,
    S: Service<Input>,
    F: Fn(S::Output) -> Output + Send + Sync + 'static,
{
    type Output = Output;
    type Error = S::Error;

    async fn serve(&self, input: Input) -> Result<Output, S::Error> {
        self.inner.serve(input).await.map(&self.function)
    }

    fn describe(&self) -> Description {
        Description::named("map_output").child(self.inner.describe())
    }
}

/// Made by [`ServiceExt::map_err`].
#[derive(Clone, Copy, Debug)]
pub struct MapErr<S, F> {
    inner: S,
    function: F,
}

impl<Input, Error, S, F> Service<Input> for MapErr<S, F>
where
    Input: Send + 'static,
    Error: Send + 'static,
    S: Service<Input>,
    F: Fn(S::Error) -> Error + Send + Sync + 'static,
{
    type Output = S::Output;
    type Error = Error;

    async fn serve(&self, input: Input) -> Result<S::Output, Error> {
        self.inner.serve(input).await.map_err(&self.function)
    }

    fn describe(&self) -> Description {
        Description::named("map_err").child(self.inner.describe())
    }
}

/// Made by [`ServiceExt::described`].
#[derive(Clone, Copy, Debug)]
pub struct Described<S, F> {
    inner: S,
    function: F,
}

impl<Input, S, F> Service<Input> for Described<S, F>
where
    S: Service<Input>,
    F: Fn(Description) -> Description + Send + Sync + 'static,
{
    type Output = S::Output;
    type Error = S::Error;

    #[inline]
    fn serve(&self, input: Input) -> impl Future<Output = Result<S::Output, S::Error>> + Send {
        self.inner.serve(input)
    }

    fn describe(&self) -> Description {
        (self.function)(self.inner.describe())
    }
}

/// Made by [`ServiceExt::map_result`].
#[derive(Clone, Copy, Debug)]
pub struct MapResult<S, F> {
    inner: S,
    function: F,
}

impl<Input, Output, Error, S, F> Service<Input> for MapResult<S, F>
where
    Input: Send + 'static,
    Output: Send + 'static,
    Error: Send + 'static,
    S: Service<Input>,
    F: Fn(Result<S::Output, S::Error>) -> Result<Output, Error> + Send + Sync + 'static,
{
    type Output = Output;
    type Error = Error;

    async fn serve(&self, input: Input) -> Result<Output, Error> {
        (self.function)(self.inner.serve(input).await)
    }

    fn describe(&self) -> Description {
        Description::named("map_result").child(self.inner.describe())
    }
}
