use std::num::NonZeroUsize;

use chaski_core::{
    Caller, Description, Layer, Service,
    http::{Request, Response},
};
use chaski_middleware::{KeyedRateLimitLayer, LayerError, Rate, RateLimited};
use chaski_proxy::{Pseudonym, too_many_requests};

/// Bounds how often each caller may ask. What exceeds it is answered with 429 by the proxy of this name.
pub(crate) fn rate_per_user(rate: Rate, max_callers: NonZeroUsize, name: Pseudonym) -> (AnswerRateLimited, KeyedLayer) {
    (AnswerRateLimited { name }, KeyedRateLimitLayer::new(rate, max_callers, Caller::of as fn(&Request) -> Caller))
}

type KeyedLayer = KeyedRateLimitLayer<fn(&Request) -> Caller, Caller>;

/// Makes an answer of a rate limit's error: middleware knows no status codes, and the proxy no middleware.
pub(crate) struct AnswerRateLimited {
    name: Pseudonym,
}

impl<S> Layer<S> for AnswerRateLimited {
    type Service = AnsweredRateLimit<S>;

    fn layer(&self, inner: S) -> AnsweredRateLimit<S> {
        AnsweredRateLimit { name: self.name.clone(), inner }
    }
}

pub(crate) struct AnsweredRateLimit<S> {
    name: Pseudonym,
    inner: S,
}

impl<S, E> Service<Request> for AnsweredRateLimit<S>
where
    S: Service<Request, Output = Response, Error = LayerError<RateLimited, E>>,
    E: Send + 'static,
{
    type Output = Response;
    type Error = E;

    async fn serve(&self, request: Request) -> Result<Response, E> {
        match self.inner.serve(request).await {
            Ok(response) => Ok(response),
            Err(LayerError::Layer(limited)) => Ok(too_many_requests(limited.retry_after, Some(&self.name))),
            Err(LayerError::Inner(error)) => Err(error),
        }
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }
}
