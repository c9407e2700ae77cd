use crate::{Description, Service};

/// One of two services, chosen when the stack is built.
///
/// Where the choice is between a layer and no layer, use [`optional`](crate::optional): an `Either` of a service and the
/// same service wrapped doubles the type at every level.
#[derive(Clone, Copy, Debug)]
pub enum Either<A, B> {
    /// The first.
    Left(A),
    /// The second.
    Right(B),
}

impl<Input, A, B> Service<Input> for Either<A, B>
where
    Input: Send + 'static,
    A: Service<Input>,
    B: Service<Input, Output = A::Output, Error = A::Error>,
{
    type Output = A::Output;
    type Error = A::Error;

    async fn serve(&self, input: Input) -> Result<A::Output, A::Error> {
        match self {
            Self::Left(a) => a.serve(input).await,
            Self::Right(b) => b.serve(input).await,
        }
    }

    fn describe(&self) -> Description {
        match self {
            Self::Left(a) => a.describe(),
            Self::Right(b) => b.describe(),
        }
    }
}

/// Sends an input to `yes` when `test` holds for it, to `no` otherwise.
///
/// ```
/// use chaski_core::{Service, branch, service_fn};
/// use std::convert::Infallible;
///
/// # async fn example() -> Result<(), Infallible> {
/// let parity = branch(
///     |n: &u32| n % 2 == 0,
///     service_fn(async |_| Ok::<_, Infallible>("even")),
///     service_fn(async |_| Ok::<_, Infallible>("odd")),
/// );
/// assert_eq!(parity.serve(7).await?, "odd");
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
/// ```
pub const fn branch<P, A, B>(test: P, yes: A, no: B) -> Branch<P, A, B> {
    Branch { test, yes, no }
}

/// Made by [`branch`].
#[derive(Clone, Copy, Debug)]
pub struct Branch<P, A, B> {
    test: P,
    yes: A,
    no: B,
}

impl<Input, P, A, B> Service<Input> for Branch<P, A, B>
where
    Input: Send + 'static,
    P: Fn(&Input) -> bool + Send + Sync + 'static,
    A: Service<Input>,
    B: Service<Input, Output = A::Output, Error = A::Error>,
{
    type Output = A::Output;
    type Error = A::Error;

    async fn serve(&self, input: Input) -> Result<A::Output, A::Error> {
        if (self.test)(&input) { self.yes.serve(input).await } else { self.no.serve(input).await }
    }

    fn describe(&self) -> Description {
        Description::named("branch").child(self.yes.describe().labelled("yes")).child(self.no.describe().labelled("no"))
    }
}
