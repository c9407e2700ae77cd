use std::sync::atomic::Ordering::Relaxed;

use chaski_core::{
    Description, Layer, Service,
    http::{Body, Request, Response},
};
use http::StatusCode;

use super::{Metrics, count};
use crate::{
    TunnelRecord,
    exchange::{End, Exchange, Observer, Outcome},
};

/// Counts requests, bytes and tunnels; made by [`Metrics::request_layer`].
#[derive(Clone, Debug)]
pub struct RequestMetricsLayer {
    pub(super) metrics: Metrics,
}

impl<S> Layer<S> for RequestMetricsLayer {
    type Service = RequestMetrics<S>;

    fn layer(&self, inner: S) -> RequestMetrics<S> {
        RequestMetrics { metrics: self.metrics.clone(), inner }
    }
}

/// Made by [`RequestMetricsLayer`].
///
/// # Cancel safety
///
/// A request whose future or response's body is dropped before its end counts as cancelled.
#[derive(Clone, Debug)]
pub struct RequestMetrics<S> {
    metrics: Metrics,
    inner: S,
}

impl<S> Service<Request> for RequestMetrics<S>
where
    S: Service<Request<Body>, Output = Response<Body>>,
{
    type Output = Response;
    type Error = S::Error;

    async fn serve(&self, mut request: Request) -> Result<Response, S::Error> {
        count(&self.metrics.0.requests.started);
        let exchange = Exchange::begin(Counting(self.metrics.clone()), &mut request);
        match self.inner.serve(request).await {
            Ok(response) => Ok(exchange.answer(response)),
            Err(error) => {
                exchange.fail();
                Err(error)
            }
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().writes::<TunnelRecord>().child(self.inner.describe())
    }
}

struct Counting(Metrics);

impl Counting {
    fn count_status(&self, status: Option<StatusCode>) {
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100));
        let [known @ .., other] = &self.0.0.requests.classes;
        count(class.checked_sub(1).and_then(|class| known.get(class)).unwrap_or(other));
    }
}

impl Observer for Counting {
    fn tunnel_began(&mut self, status: StatusCode) {
        count(&self.0.0.requests.ok);
        self.count_status(Some(status));
        count(&self.0.0.tunnels.opened);
    }

    fn tunnel_ended(&mut self, end: &End, outcome: &str) {
        let tunnels = &self.0.0.tunnels;
        if outcome == "cut" {
            count(&tunnels.cut);
        }
        tunnels.up.fetch_add(end.received, Relaxed);
        tunnels.down.fetch_add(end.sent, Relaxed);
        count(&tunnels.closed);
    }

    fn ended(&mut self, end: &End, outcome: Outcome) {
        let requests = &self.0.0.requests;
        count(match outcome {
            Outcome::Ok => &requests.ok,
            Outcome::Cancelled => &requests.cancelled,
            Outcome::Error => &requests.error,
        });
        self.count_status(end.status);
        requests.received.fetch_add(end.received, Relaxed);
        requests.sent.fetch_add(end.sent, Relaxed);
    }
}
