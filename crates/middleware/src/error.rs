use std::{error::Error, fmt};

use chaski_core::BoxError;

/// How a service fails that has a layer around it which can itself refuse a call.
///
/// It prints as what it holds, and has that as its source, so that [`find_cause`](chaski_core::find_cause) finds either.
/// Where the inner error is a [`BoxError`], which implements no `Error`, end with
/// `.map_err(LayerError::into_box)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerError<Reason, E> {
    /// The layer gave the call up, for this reason.
    Layer(Reason),
    /// The service below failed.
    Inner(E),
}

impl<Reason: Into<BoxError>, E: Into<BoxError>> LayerError<Reason, E> {
    /// The reason or the inner error alone, boxed.
    ///
    /// ```
    /// use chaski_core::{BoxError, ServiceExt, check, service_fn, stack};
    /// use chaski_middleware::{ConcurrencyLimitLayer, LayerError};
    ///
    /// let service = stack(ConcurrencyLimitLayer::new(8), service_fn(async |n: u8| Ok::<u8, BoxError>(n)));
    /// let service = check::<u8, _>(service.map_err(LayerError::into_box));
    /// # let _ = service;
    /// ```
    pub fn into_box(self) -> BoxError {
        match self {
            Self::Layer(reason) => reason.into(),
            Self::Inner(error) => error.into(),
        }
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

impl<Reason: Error + 'static, E: Error + 'static> Error for LayerError<Reason, E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Layer(reason) => Some(reason),
            Self::Inner(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use chaski_core::{display_chain, find_cause};

    use super::*;
    use crate::Shed;

    #[test]
    fn both_sides_are_found_and_told_once() {
        let layer: BoxError = LayerError::<Shed, io::Error>::Layer(Shed).into();
        assert!(find_cause::<Shed>(&*layer).is_some());
        assert_eq!(display_chain(&*layer).to_string(), "too many calls at once");

        let inner: BoxError = LayerError::<Shed, _>::Inner(io::Error::other("disk full")).into();
        assert!(find_cause::<io::Error>(&*inner).is_some());
        assert_eq!(display_chain(&*inner).to_string(), "disk full");
    }

    #[test]
    fn a_boxed_inner_error_is_handed_on_as_it_is() {
        let inner = LayerError::<Shed, BoxError>::Inner(Box::new(io::Error::other("disk full")));
        assert!(inner.into_box().is::<io::Error>());
        assert!(LayerError::<Shed, BoxError>::Layer(Shed).into_box().is::<Shed>());
    }
}
