use std::{error::Error, fmt};

use chaski_core::BoxError;

/// How a service fails that has a layer around it which can itself refuse a call.
///
/// It converts into a [`BoxError`] as what it holds, the reason or the inner error alone, so a service that fails with it
/// stands under a server as it is, whether the inner error is a type of its own or a [`BoxError`] already. For that it
/// is no `Error` itself: the conversion that every `Error` has would wrap it, and would shut out the boxed ones.
///
/// ```
/// use chaski_core::{BoxError, Elapsed, Service, service_fn, stack};
/// use chaski_middleware::{ConcurrencyLimitLayer, TimeoutLayer};
/// use std::{future::pending, time::Duration};
///
/// # async fn example() {
/// let handler = service_fn(async |_: u8| pending::<Result<u8, BoxError>>().await);
/// let service = stack((TimeoutLayer::new(Duration::ZERO), ConcurrencyLimitLayer::new(8)), handler);
/// let error: BoxError = service.serve(1).await.unwrap_err().into();
/// assert!(error.is::<Elapsed>());
/// # }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(example());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerError<Reason, E> {
    /// The layer gave the call up, for this reason.
    Layer(Reason),
    /// The service below failed.
    Inner(E),
}

impl<Reason: Into<BoxError>, E: Into<BoxError>> From<LayerError<Reason, E>> for BoxError {
    fn from(error: LayerError<Reason, E>) -> Self {
        match error {
            LayerError::Layer(reason) => reason.into(),
            LayerError::Inner(error) => error.into(),
        }
    }
}

// For `?` in a `main` that returns the plain box.
impl<Reason: Into<BoxError>, E: Into<BoxError>> From<LayerError<Reason, E>> for Box<dyn Error> {
    fn from(error: LayerError<Reason, E>) -> Self {
        BoxError::from(error)
    }
}

impl<Reason: fmt::Display, E: fmt::Display> fmt::Display for LayerError<Reason, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer(reason) => reason.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io};

    use chaski_core::IntoBoxError;

    use super::*;
    use crate::{Panicked, Shed};

    #[test]
    fn it_becomes_what_it_holds_through_any_number_of_layers() {
        type Typed = LayerError<Panicked, LayerError<Shed, io::Error>>;
        let full = || io::Error::other("disk full");
        assert!(Typed::Inner(LayerError::Layer(Shed)).into_box_error().is::<Shed>());
        let inner = Typed::Inner(LayerError::Inner(full()));
        assert_eq!(inner.to_string(), "disk full");
        assert!(inner.into_box_error().is::<io::Error>());

        type Boxed = LayerError<Panicked, LayerError<Shed, BoxError>>;
        assert!(Boxed::Inner(LayerError::Inner(full().into())).into_box_error().is::<io::Error>());
        let plain: Box<dyn Error> = Boxed::Inner(LayerError::Layer(Shed)).into();
        assert!(plain.is::<Shed>());
        assert!(LayerError::<Shed, Infallible>::Layer(Shed).into_box_error().is::<Shed>());
    }
}
