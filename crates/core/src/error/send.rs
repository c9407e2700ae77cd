use std::{error::Error, fmt};

use crate::{BoxError, Extensions};

/// Why a session gave no answer, and whether its peer can have acted on the request.
///
/// Engines make it; retries read it.
pub struct SendError<Req> {
    // Boxed: a request is large, and errors are rare.
    inner: Box<SendErrorParts<Req>>,
}

/// All that a [`SendError`] says, of which [`SendError::into_parts`] gives the ownership.
#[non_exhaustive]
pub struct SendErrorParts<Req> {
    /// What became of the request.
    pub sent: Sent<Req>,
    /// Whether a byte of a response may have arrived before the failure.
    pub response_seen: bool,
    /// The error beneath.
    pub source: BoxError,
    /// The scope of the attempt.
    pub scope: Extensions,
}

/// Whether the peer can have acted on the request.
#[non_exhaustive]
pub enum Sent<Req> {
    /// No: nothing of the request left, or the peer said that it did not process it. Here it is again.
    No(Req),
    /// It may have. The request comes back where no byte of a response was seen and all of it is still in hand, so that it
    /// can be repeated if that does no harm.
    Unknown(Option<Req>),
}

impl<Req> SendError<Req> {
    /// The request was not sent; it is handed back.
    pub fn not_sent(request: Req, source: impl Into<BoxError>) -> Self {
        Self::new(Sent::No(request), false, source.into())
    }

    /// The peer may have acted on the request.
    pub fn unknown(source: impl Into<BoxError>) -> Self {
        Self::new(Sent::Unknown(None), true, source.into())
    }

    fn new(sent: Sent<Req>, response_seen: bool, source: BoxError) -> Self {
        Self { inner: Box::new(SendErrorParts { sent, response_seen, source, scope: Extensions::new() }) }
    }

    /// Says whether a byte of a response had arrived. An engine that knows of none says `false`: then an idempotent
    /// request may be sent once more. Unless it is said, an error made with [`unknown`](Self::unknown) counts as one
    /// after a response had begun.
    #[must_use]
    pub fn with_response_seen(mut self, seen: bool) -> Self {
        self.inner.response_seen = seen;
        self
    }

    /// Hands back a request that may have been sent, whole.
    #[must_use]
    pub fn with_request(mut self, request: Req) -> Self {
        self.inner.sent = match self.inner.sent {
            Sent::No(_) => Sent::No(request),
            Sent::Unknown(_) => Sent::Unknown(Some(request)),
        };
        self
    }

    /// Adds the scope of the attempt: that of the connection it was made on.
    #[must_use]
    pub fn with_scope(mut self, scope: Extensions) -> Self {
        self.inner.scope = scope;
        self
    }

    /// Whether the request certainly had no effect.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        matches!(self.inner.sent, Sent::No(_))
    }

    /// Whether a byte of a response may have arrived before the failure.
    #[must_use]
    pub fn response_seen(&self) -> bool {
        self.inner.response_seen
    }

    /// All that this error says.
    #[must_use]
    pub fn into_parts(self) -> SendErrorParts<Req> {
        *self.inner
    }

    /// The request, if it was not sent.
    #[must_use]
    pub fn into_request(self) -> Option<Req> {
        match self.inner.sent {
            Sent::No(request) => Some(request),
            Sent::Unknown(_) => None,
        }
    }

    /// The error beneath.
    #[must_use]
    pub fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.inner.source
    }

    /// The scope of the attempt.
    #[must_use]
    pub fn scope(&self) -> &Extensions {
        &self.inner.scope
    }
}

// By hand: a request need not be printable, and may hold secrets.
impl<Req> fmt::Debug for SendError<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("not_sent", &self.is_not_sent())
            .field("response_seen", &self.inner.response_seen)
            .field("source", &self.inner.source)
            .finish_non_exhaustive()
    }
}

impl<Req> fmt::Debug for SendErrorParts<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendErrorParts")
            .field("sent", &self.sent)
            .field("response_seen", &self.response_seen)
            .field("source", &self.source)
            .field("scope", &self.scope)
            .finish()
    }
}

impl<Req> fmt::Debug for Sent<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No(_) => "No(..)",
            Self::Unknown(_) => "Unknown(..)",
        })
    }
}

impl<Req> fmt::Display for SendError<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.inner.sent {
            Sent::No(_) => "the request was not sent",
            Sent::Unknown(_) => "the request failed after it may have been sent",
        })
    }
}

impl<Req> Error for SendError<Req> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.inner.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_has_to_say_that_no_response_byte_arrived() {
        let unknown = SendError::<()>::unknown("reset");
        assert!(unknown.response_seen());
        assert!(!unknown.with_response_seen(false).response_seen());
        assert!(!SendError::not_sent((), "closed").response_seen());
    }

    #[test]
    fn a_request_that_may_have_been_sent_comes_back_apart() {
        let error = SendError::unknown("reset").with_request("request");
        assert!(!error.is_not_sent());
        assert!(matches!(error.into_parts().sent, Sent::Unknown(Some("request"))));
        assert_eq!(SendError::unknown("reset").with_request("request").into_request(), None);
    }

    #[test]
    fn its_parts_are_all_of_it() {
        #[derive(Debug, PartialEq)]
        struct Attempt(u8);
        let scope = Extensions::new();
        scope.insert(Attempt(2));
        let parts = SendError::not_sent("request", "reset").with_response_seen(true).with_scope(scope).into_parts();
        assert!(matches!(parts.sent, Sent::No("request")));
        assert!(parts.response_seen);
        assert_eq!(parts.source.to_string(), "reset");
        assert_eq!(parts.scope.get(), Some(&Attempt(2)));
    }
}
