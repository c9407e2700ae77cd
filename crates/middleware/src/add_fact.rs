//! Facts added to inputs.

use std::fmt;

#[cfg(feature = "http")]
use chaski_core::http::{Message, Request, Response};
use chaski_core::{Conn, Connect, Description, Extensions, Fact, Layer, Service};

/// An input that has a scope, so that facts can be added to it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no scope to add a fact to",
    note = "`Conn` and `Connect` have one, and with the feature `http` HTTP messages; implement `Scoped` for an input of your own"
)]
pub trait Scoped {
    /// The scope of this input; made when it is missing.
    fn scope(&mut self) -> &Extensions;
}

impl<S> Scoped for Conn<S> {
    fn scope(&mut self) -> &Extensions {
        &self.ext
    }
}

impl Scoped for Connect {
    fn scope(&mut self) -> &Extensions {
        &self.ext
    }
}

#[cfg(feature = "http")]
impl<B> Scoped for Request<B> {
    fn scope(&mut self) -> &Extensions {
        Message::scope(self)
    }
}

#[cfg(feature = "http")]
impl<B> Scoped for Response<B> {
    fn scope(&mut self) -> &Extensions {
        Message::scope(self)
    }
}

/// Adds a fact to the scope of each input: which listener it came in by, which tenant it belongs to.
///
/// ```
/// use chaski_core::{Conn, Service, service_fn, stack};
/// use chaski_middleware::AddFactLayer;
/// use std::convert::Infallible;
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Tenant(&'static str);
///
/// # async fn example() -> Result<(), Infallible> {
/// let service = stack(
///     AddFactLayer::new(Tenant("acme")),
///     service_fn(async |conn: Conn<()>| Ok::<_, Infallible>(conn.ext.get::<Tenant>().cloned())),
/// );
/// assert_eq!(service.serve(Conn::new(())).await?, Some(Tenant("acme")));
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # Errors
///
/// Those of the inner service; the layer adds none.
///
/// # Cancel safety
///
/// The fact is added when the service is called, and stays in the scope when the call is dropped.
///
/// # Order
///
/// Outside of whoever reads the fact. The newest fact of a type is found first, so the innermost of two layers wins.
///
/// # Limits
///
/// A fact that is the same for all is cloned for each input: share what is large through an [`Arc`](std::sync::Arc). A scope that is full (see
/// [`Extensions::MAX_FACTS`]) refuses it, and the call goes on without.
#[derive(Clone, Copy, Debug)]
pub struct AddFactLayer<M> {
    make: M,
}

impl<T: Fact + Clone> AddFactLayer<Same<T>> {
    /// Adds a clone of `fact` to each input.
    #[must_use]
    pub const fn new(fact: T) -> Self {
        Self { make: Same(fact) }
    }
}

impl<F> AddFactLayer<FromInput<F>> {
    /// Adds what `function` makes of each input.
    ///
    /// ```
    /// use chaski_core::{Conn, Service, service_fn, stack};
    /// use chaski_middleware::AddFactLayer;
    /// use std::convert::Infallible;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct Even(bool);
    ///
    /// # async fn example() -> Result<(), Infallible> {
    /// let service = stack(
    ///     AddFactLayer::from_fn(|conn: &Conn<u8>| Even(conn.io % 2 == 0)),
    ///     service_fn(async |conn: Conn<u8>| Ok::<_, Infallible>(conn.ext.get() == Some(&Even(true)))),
    /// );
    /// assert!(service.serve(Conn::new(8)).await?);
    /// # Ok(()) }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
    /// ```
    #[must_use]
    pub const fn from_fn<Input, T>(function: F) -> Self
    where
        F: Fn(&Input) -> T,
        T: Fact,
    {
        Self { make: FromInput(function) }
    }
}

impl<S, M: Clone> Layer<S> for AddFactLayer<M> {
    type Service = AddFact<S, M>;

    fn layer(&self, inner: S) -> AddFact<S, M> {
        AddFact { inner, make: self.make.clone() }
    }
}

/// A service whose inputs are given a fact; made by [`AddFactLayer`], where the contract stands.
#[derive(Clone, Copy, Debug)]
pub struct AddFact<S, M> {
    inner: S,
    make: M,
}

impl<Input, S, M> Service<Input> for AddFact<S, M>
where
    Input: Scoped + Send + 'static,
    S: Service<Input>,
    M: MakeFact<Input>,
{
    type Output = S::Output;
    type Error = S::Error;

    fn serve(&self, mut input: Input) -> impl Future<Output = Result<S::Output, S::Error>> + Send {
        let fact = self.make.fact(&input);
        input.scope().insert(fact);
        self.inner.serve(input)
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().writes::<M::Fact>().child(self.inner.describe())
    }
}

/// Where [`AddFactLayer`] has its facts from: [`Same`] or [`FromInput`].
pub trait MakeFact<Input>: Send + Sync + 'static {
    /// The fact's type.
    type Fact: Fact;

    /// The fact for this input.
    fn fact(&self, input: &Input) -> Self::Fact;
}

/// The same fact for every input; made by [`AddFactLayer::new`].
#[derive(Clone, Copy, Debug)]
pub struct Same<T>(T);

impl<Input, T: Fact + Clone> MakeFact<Input> for Same<T> {
    type Fact = T;

    fn fact(&self, _: &Input) -> T {
        self.0.clone()
    }
}

/// A fact that a function makes of the input; made by [`AddFactLayer::from_fn`].
#[derive(Clone, Copy)]
pub struct FromInput<F>(F);

impl<Input, T, F> MakeFact<Input> for FromInput<F>
where
    T: Fact,
    F: Fn(&Input) -> T + Send + Sync + 'static,
{
    type Fact = T;

    fn fact(&self, input: &Input) -> T {
        (self.0)(input)
    }
}

impl<F> fmt::Debug for FromInput<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FromInput").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chaski_core::{describe, stack, test_util::mock};

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Mark(u8);

    #[tokio::test]
    async fn each_input_has_the_innermost_fact_and_scopes_stay_apart() {
        let (inner, mut handle) = mock::<Conn<u8>, u8, String>();
        let service = stack((AddFactLayer::new(Mark(1)), AddFactLayer::new(Mark(2))), inner);
        let (first, stranger) = (Conn::new(7), Conn::new(8));
        let scope = first.ext.clone();
        let (result, ()) = tokio::join!(service.serve(first), async {
            let call = handle.next().await;
            assert_eq!(call.input.ext.get(), Some(&Mark(2)));
            assert!(call.input.ext.same_scope(&scope));
            call.respond(Ok(1));
        });
        assert_eq!(result, Ok(1));
        assert_eq!(stranger.ext.get::<Mark>(), None);
    }

    #[cfg(feature = "http")]
    #[tokio::test]
    async fn messages_have_the_fact_that_is_made_of_them() {
        let (inner, mut handle) = mock::<Request<u8>, u8, String>();
        let service = stack(AddFactLayer::from_fn(|request: &Request<u8>| Mark(*request.body())), inner);
        let connection = Extensions::new();
        connection.insert(Mark(1));
        let mut first = Request::new(10);
        first.set_scope(connection.fork());
        let (one, two, ()) = tokio::join!(service.serve(first), service.serve(Request::new(20)), async {
            for mark in [10, 20] {
                let call = handle.next().await;
                assert_eq!(call.input.fact(), Some(&Mark(mark)));
                call.respond(Ok(mark));
            }
        });
        assert_eq!((one, two), (Ok(10), Ok(20)));
        assert_eq!(connection.get(), Some(&Mark(1)), "the connection does not see its messages' facts");

        let mut response = Response::new(());
        Scoped::scope(&mut response).insert(Mark(30));
        assert_eq!(response.fact(), Some(&Mark(30)));
    }

    #[test]
    fn it_shows_the_fact_and_what_it_wraps() {
        let service = stack(AddFactLayer::new(Mark(1)), mock::<Conn<u8>, u8, String>().0);
        let tree = describe::<Conn<u8>, _>(&service).to_string();
        assert_eq!(tree, "AddFact  writes Mark\n└─ MockService\n");
    }
}
