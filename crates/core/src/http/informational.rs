use std::{error::Error, fmt, sync::Arc};

use http::{HeaderMap, Response, StatusCode};

use super::Message;

/// Sends informational responses (1xx) ahead of the final one to a request.
///
/// ```
/// use chaski_core::http::{Informational, Request};
///
/// async fn handler(request: Request) {
///     if let Some(informational) = Informational::of(&request) {
///         let mut hints = http::HeaderMap::new();
///         hints.insert("link", "</style.css>; rel=preload".parse().unwrap());
///         let _ = informational.send(http::StatusCode::EARLY_HINTS, &hints);
///     }
/// }
/// ```
#[derive(Clone)]
pub struct Informational {
    sink: Arc<dyn InformationalSink>,
    request: u64,
}

impl Informational {
    /// The way to the sender of `request`. `None` when it came through no engine, or through one whose connection records
    /// no facts.
    pub fn of(request: &impl Message) -> Option<Self> {
        let InformationalSource(sink) = request.fact::<InformationalSource>()?;
        Some(Self { sink: Arc::clone(sink), request: sink.request() })
    }

    /// Queues an informational response; it leaves before the final one. `100` is the engine's own business: it is sent
    /// when the body of a request that asked for it is first read.
    ///
    /// # Errors
    ///
    /// [`InformationalError`]: see its variants.
    pub fn send(&self, status: StatusCode, headers: &HeaderMap) -> Result<(), InformationalError> {
        // RFC 9110 section 15.2.2: 101 is final for HTTP/1.1, it is answered with an upgrade.
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(InformationalError::NotInformational(status));
        }
        self.sink.send(self.request, status, headers)
    }
}

impl fmt::Debug for Informational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Informational").finish_non_exhaustive()
    }
}

/// The fact by which an engine offers [`Informational`] responses: one for a connection, not for each request.
#[derive(Clone)]
pub struct InformationalSource(pub Arc<dyn InformationalSink>);

impl fmt::Debug for InformationalSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InformationalSource").finish_non_exhaustive()
    }
}

/// Where an engine takes informational responses from handlers.
pub trait InformationalSink: Send + Sync + 'static {
    /// The number of the request that is being handled.
    fn request(&self) -> u64;

    /// Queues one for the request of that number.
    ///
    /// # Errors
    ///
    /// Those of [`Informational::send`].
    fn send(&self, request: u64, status: StatusCode, headers: &HeaderMap) -> Result<(), InformationalError>;
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

/// What is done to informational responses before they are [passed on](OnInformational::pass_on).
pub trait EditInformational: Send + Sync + 'static {
    /// Makes of a response that was received the one that is sent.
    fn edit(&self, response: &mut Response<()>);
}

/// Has a client's engine report the informational responses to a request.
///
/// They are reported in the task that waits for the final response, so what is called there must not block.
///
/// ```
/// use chaski_core::http::{OnInformational, Request};
///
/// let mut request = Request::<()>::default();
/// OnInformational::new(|response| println!("{}", response.status())).attach(&mut request);
/// ```
#[derive(Clone)]
pub struct OnInformational(Listener);

#[derive(Clone)]
enum Listener {
    Function(Arc<dyn Fn(Response<()>) + Send + Sync>),
    PassOn(Informational, Arc<dyn EditInformational>),
}

/// What a message's extensions have of it.
#[derive(Clone, Default)]
pub(super) struct Listening(Option<OnInformational>);

impl OnInformational {
    /// Calls `function` with every informational response but `100` and `101`, in order of arrival.
    pub fn new(function: impl Fn(Response<()>) + Send + Sync + 'static) -> Self {
        Self(Listener::Function(Arc::new(function)))
    }

    /// Sends each on to the one who waits for another request's answer, as `edit` leaves it; what a proxy does. One that
    /// cannot be sent, as `to` speaks HTTP/1.0 or has its final response, is dropped. Allocates nothing.
    #[must_use]
    pub fn pass_on(to: Informational, edit: Arc<impl EditInformational>) -> Self {
        Self(Listener::PassOn(to, edit))
    }

    /// Puts it into a request, in place of one that is there.
    pub fn attach(self, request: &mut impl Message) {
        request.carrier_mut().get_or_insert_default::<Listening>().0 = Some(self);
    }

    /// That of a request; for engines.
    pub fn of(request: &impl Message) -> Option<&Self> {
        request.carrier().get::<Listening>()?.0.as_ref()
    }

    /// Reports one; for engines.
    pub fn report(&self, mut response: Response<()>) {
        match &self.0 {
            Listener::Function(function) => function(response),
            Listener::PassOn(to, edit) => {
                edit.edit(&mut response);
                // Who speaks HTTP/1.0 or has the final response misses nothing that would be of use.
                let _ = to.send(response.status(), response.headers());
            }
        }
    }
}

impl fmt::Debug for OnInformational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnInformational").finish_non_exhaustive()
    }
}
