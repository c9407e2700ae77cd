use std::{error::Error, fmt, sync::Arc};

use http::{HeaderMap, Response, StatusCode};

/// Sends informational responses (1xx) ahead of the final one; a server's engine makes it available as a fact.
///
/// ```
/// use chaski_core::http::{Informational, Message, Request};
///
/// async fn handler(request: Request) {
///     if let Some(informational) = request.fact::<Informational>() {
///         let mut hints = http::HeaderMap::new();
///         hints.insert("link", "</style.css>; rel=preload".parse().unwrap());
///         let _ = informational.send(http::StatusCode::EARLY_HINTS, hints);
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Informational(Arc<dyn InformationalSink>);

impl Informational {
    /// Made by engines.
    pub fn new(sink: Arc<dyn InformationalSink>) -> Self {
        Self(sink)
    }

    /// Queues an informational response; it leaves before the final one. `100` is the engine's own business: it is sent
    /// when the body of a request that asked for it is first read.
    ///
    /// # Errors
    ///
    /// [`InformationalError`]: see its variants.
    pub fn send(&self, status: StatusCode, headers: HeaderMap) -> Result<(), InformationalError> {
        // RFC 9110 section 15.2.2: 101 is final for HTTP/1.1, it is answered with an upgrade.
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(InformationalError::NotInformational(status));
        }
        self.0.send(status, headers)
    }
}

impl fmt::Debug for Informational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informational").finish_non_exhaustive()
    }
}

/// Where an engine takes informational responses from a handler.
pub trait InformationalSink: Send + Sync + 'static {
    /// Queues one for the request that is being handled.
    ///
    /// # Errors
    ///
    /// Those of [`Informational::send`].
    fn send(&self, status: StatusCode, headers: HeaderMap) -> Result<(), InformationalError>;
}

/// Why an informational response was not queued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InformationalError {
    /// The status is not 1xx, or is 101.
    NotInformational(StatusCode),
    /// The client speaks HTTP/1.0, which has none (RFC 9110 section 15.2).
    NotSupported,
    /// The final response has begun, or the connection is gone.
    TooLate,
    /// Too many are queued: the limit is the engine's.
    Full,
}

impl fmt::Display for InformationalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInformational(status) => write!(f, "{status} is not an informational status"),
            Self::NotSupported => f.write_str("the client speaks HTTP/1.0, which has no informational responses"),
            Self::TooLate => f.write_str("the final response has begun"),
            Self::Full => f.write_str("too many informational responses are queued"),
        }
    }
}

impl Error for InformationalError {}

/// Asks a client's engine to report informational responses: put it into the request's extensions.
///
/// The function is called in the task that waits for the final response, so it must not block.
#[derive(Clone)]
pub struct OnInformational(Arc<dyn Fn(Response<()>) + Send + Sync>);

impl OnInformational {
    /// Calls `function` with every informational response but `100` and `101`, in order of arrival.
    pub fn new(function: impl Fn(Response<()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(function))
    }

    /// Reports one; called by engines.
    pub fn report(&self, response: Response<()>) {
        (self.0)(response);
    }
}

impl fmt::Debug for OnInformational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnInformational").finish_non_exhaustive()
    }
}
