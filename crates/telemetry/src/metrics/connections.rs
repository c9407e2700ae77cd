use chaski_core::{Conn, Description, Layer, Service};

use super::{Metrics, count};

/// Counts connections; made by [`Metrics::connection_layer`].
#[derive(Clone, Debug)]
pub struct ConnectionMetricsLayer {
    pub(super) metrics: Metrics,
}

impl<S> Layer<S> for ConnectionMetricsLayer {
    type Service = ConnectionMetrics<S>;

    fn layer(&self, inner: S) -> ConnectionMetrics<S> {
        ConnectionMetrics { metrics: self.metrics.clone(), inner }
    }
}

/// Made by [`ConnectionMetricsLayer`].
///
/// # Cancel safety
///
/// A connection whose future is dropped counts as cut.
#[derive(Clone, Debug)]
pub struct ConnectionMetrics<S> {
    metrics: Metrics,
    inner: S,
}

impl<IO, S> Service<Conn<IO>> for ConnectionMetrics<S>
where
    IO: Send + 'static,
    S: Service<Conn<IO>>,
{
    type Output = S::Output;
    type Error = S::Error;

    async fn serve(&self, conn: Conn<IO>) -> Result<S::Output, S::Error> {
        count(&self.metrics.0.connections.opened);
        let mut open = Open { metrics: &self.metrics, outcome: Outcome::Cut };
        let result = self.inner.serve(conn).await;
        open.outcome = if result.is_ok() { Outcome::Ok } else { Outcome::Error };
        result
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().child(self.inner.describe())
    }
}

/// Counts the end of a connection when it is dropped.
struct Open<'a> {
    metrics: &'a Metrics,
    outcome: Outcome,
}

enum Outcome {
    Ok,
    Error,
    Cut,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let connections = &self.metrics.0.connections;
        count(match self.outcome {
            Outcome::Ok => &connections.ok,
            Outcome::Error => &connections.error,
            Outcome::Cut => &connections.cut,
        });
    }
}
