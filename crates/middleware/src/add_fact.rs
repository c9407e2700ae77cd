use chaski_core::{Conn, Connect, Description, Extensions, Fact, Layer, Service};

/// An input that has a scope, so that facts can be added to it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no scope to add a fact to",
    note = "`Conn` and `Connect` have one; implement `Scoped` for an input of your own"
)]
pub trait Scoped {
    /// The scope of this input.
    fn scope(&self) -> &Extensions;
}

impl<S> Scoped for Conn<S> {
    fn scope(&self) -> &Extensions {
        &self.ext
    }
}

impl Scoped for Connect {
    fn scope(&self) -> &Extensions {
        &self.ext
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
/// The fact is cloned for each input: share what is large through an [`Arc`](std::sync::Arc). A scope that is full (see
/// [`Extensions::MAX_FACTS`]) refuses it, and the call goes on without.
#[derive(Clone, Copy, Debug)]
pub struct AddFactLayer<T> {
    fact: T,
}

impl<T: Fact + Clone> AddFactLayer<T> {
    /// Adds a clone of `fact` to each input.
    #[must_use]
    pub const fn new(fact: T) -> Self {
        Self { fact }
    }
}

impl<S, T: Clone> Layer<S> for AddFactLayer<T> {
    type Service = AddFact<S, T>;

    fn layer(&self, inner: S) -> AddFact<S, T> {
        AddFact { inner, fact: self.fact.clone() }
    }
}

/// A service whose inputs are given a fact; made by [`AddFactLayer`], where the contract stands.
#[derive(Clone, Copy, Debug)]
pub struct AddFact<S, T> {
    inner: S,
    fact: T,
}

impl<Input, S, T> Service<Input> for AddFact<S, T>
where
    Input: Scoped + Send + 'static,
    S: Service<Input>,
    T: Fact + Clone,
{
    type Output = S::Output;
    type Error = S::Error;

    fn serve(&self, input: Input) -> impl Future<Output = Result<S::Output, S::Error>> + Send {
        input.scope().insert(self.fact.clone());
        self.inner.serve(input)
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().writes::<T>().child(self.inner.describe())
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

    #[test]
    fn it_shows_the_fact_and_what_it_wraps() {
        let service = stack(AddFactLayer::new(Mark(1)), mock::<Conn<u8>, u8, String>().0);
        let tree = describe::<Conn<u8>, _>(&service).to_string();
        assert_eq!(tree, "AddFact  writes Mark\n└─ MockService\n");
    }
}
