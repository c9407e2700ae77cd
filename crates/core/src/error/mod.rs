//! Errors that cross the boundaries between layers.

mod connect;
mod send;

pub use connect::{Attempt, ConnectError, ConnectStage};
pub use send::{SendError, SendErrorParts, Sent};

use std::{error::Error, time::Duration};

/// An error of any type, between boxed layers. [`find_cause`] gets the typed one back.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Looks for an error of type `E` in `error` itself and down its chain of sources.
///
/// ```
/// use chaski_core::{BoxError, find_cause};
///
/// let error: BoxError = Box::new(std::io::Error::other("disk full".parse::<u8>().unwrap_err()));
/// assert!(find_cause::<std::io::Error>(&*error).is_some());
/// assert!(find_cause::<std::fmt::Error>(&*error).is_none());
/// ```
pub fn find_cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // `io::Error::source` skips the error that it wraps and goes on with that one's source.
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            next = Some(inner);
        } else {
            next = error.source();
        }
    }
    None
}

/// A time limit passed. Whoever maps errors to answers (504 in a gateway) finds it with [`find_cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} took longer than {limit:?}")]
pub struct Elapsed {
    /// What was waited for: `"the response head"`.
    pub what: &'static str,
    /// The limit that passed.
    pub limit: Duration,
}

/// An error and its chain of sources on one line, `: ` between them. For logs and for text that people read.
pub fn display_chain<'a>(error: &'a (dyn Error + 'static)) -> impl std::fmt::Display + 'a {
    struct Chain<'a>(&'a (dyn Error + 'static));
    impl std::fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let mut shown = self.0.to_string();
            f.write_str(&shown)?;
            let mut next = self.0.source();
            while let Some(error) = next {
                // What an outer level has told already, as transparent wrappers and lists of attempts do, is told once.
                let text = error.to_string();
                if !shown.contains(&text) {
                    write!(f, ": {text}")?;
                    shown = text;
                }
                next = error.source();
            }
            Ok(())
        }
    }
    Chain(error)
}

/// What a server accepts as the error of the service that it runs.
///
/// It is implemented for everything that converts into a [`BoxError`]; the trait exists so that the compiler's message
/// speaks of services.
#[diagnostic::on_unimplemented(
    message = "under a server a service's error converts into `BoxError`, and `{Self}` does not: implement `std::error::Error` for it, or use `.map_err(..)`"
)]
pub trait IntoBoxError: Send + 'static {
    /// Converts.
    fn into_box_error(self) -> BoxError;
}

// Or the message would speak of `From` and not of services.
#[diagnostic::do_not_recommend]
impl<E: Into<BoxError> + Send + 'static> IntoBoxError for E {
    fn into_box_error(self) -> BoxError {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("inner {0}")]
    struct Inner(u8);

    #[test]
    fn a_cause_is_found_through_sources_and_io_errors() {
        let error: BoxError = Box::new(Outer(io::Error::other(Inner(7))));
        assert_eq!(find_cause::<Inner>(&*error), Some(&Inner(7)));
        assert!(find_cause::<Outer>(&*error).is_some());
        assert!(find_cause::<std::fmt::Error>(&*error).is_none());
    }

    #[test]
    fn a_chain_prints_every_level_once() {
        assert_eq!(display_chain(&Outer(io::Error::other(Inner(7)))).to_string(), "outer: inner 7");
    }
}
