use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

use crate::{Description, Service};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A service whose type is hidden: a shared pointer, cheap to clone.
///
/// Each call allocates its future once. Put it at a seam that has to stay open (a table of routes, an optional layer), not
/// between layers that are known when the stack is written.
pub struct BoxService<Input, Output, Error> {
    inner: Arc<dyn Erased<Input, Output, Error>>,
}

impl<Input: Send + 'static, Output: Send + 'static, Error: Send + 'static> BoxService<Input, Output, Error> {
    /// Hides the type of `service`. One that is hidden already is not boxed again: of several optional layers in a row, only
    /// those that are there cost an allocation.
    pub fn new<S>(service: S) -> Self
    where
        S: Service<Input, Output = Output, Error = Error>,
    {
        match (&service as &dyn Any).downcast_ref::<Self>() {
            Some(boxed) => boxed.clone(),
            None => Self { inner: Arc::new(service) },
        }
    }

    /// The shape of the stack within.
    #[must_use]
    pub fn describe(&self) -> Description {
        self.inner.describe()
    }
}

impl<Input, Output, Error> Service<Input> for BoxService<Input, Output, Error>
where
    Input: Send + 'static,
    Output: Send + 'static,
    Error: Send + 'static,
{
    type Output = Output;
    type Error = Error;

    fn serve(&self, input: Input) -> impl Future<Output = Result<Output, Error>> + Send {
        self.inner.serve(input)
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }
}

impl<Input, Output, Error> Clone for BoxService<Input, Output, Error> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<Input, Output, Error> fmt::Debug for BoxService<Input, Output, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxService").finish_non_exhaustive()
    }
}

/// The object-safe face of [`Service`].
trait Erased<Input, Output, Error>: Send + Sync {
    fn serve(&self, input: Input) -> BoxFuture<'_, Result<Output, Error>>;
    fn describe(&self) -> Description;
}

impl<Input, S> Erased<Input, S::Output, S::Error> for S
where
    Input: Send + 'static,
    S: Service<Input>,
{
    fn serve(&self, input: Input) -> BoxFuture<'_, Result<S::Output, S::Error>> {
        Box::pin(Service::serve(self, input))
    }

    fn describe(&self) -> Description {
        Service::describe(self)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::service_fn;

    #[test]
    fn what_is_boxed_is_not_boxed_again() {
        let once = BoxService::new(service_fn(async |n: u32| Ok::<_, Infallible>(n)));
        assert!(Arc::ptr_eq(&BoxService::new(once.clone()).inner, &once.inner));
    }
}
