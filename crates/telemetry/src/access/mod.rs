//! One line for each request.

mod json;
mod line;
mod record;
mod sink;
mod text;

pub use sink::{AccessLogFormat, AccessLogGuard, AccessLogSink};

use std::time::SystemTime;

use chaski_core::{
    Description, Layer, Service, SocketAddrs, User,
    http::{Body, Request, Response},
};

use crate::{TraceContext, TunnelRecord, exchange::Exchange};

/// Writes one line for each request, when its response has ended: see [the format](#format).
///
/// Put it outside the layers that refuse requests, so that refusals are logged, and inside those that learn the client's
/// real address. The end of a response is when its body was taken to its end; a body that is in hand counts as taken when
/// the service answers. A request that became a tunnel (CONNECT, or `101`) is logged at the tunnel's end, see
/// [`TunnelRecord`].
///
/// # Format
///
/// [`AccessLogFormat::Text`]: fields in this order, `name=value`, one blank between, `-` for what is not known.
/// [`AccessLogFormat::Json`]: one object with these names; `status`, `received`, `sent` and `duration_ms` are numbers, the others
/// strings, and `null` is for what is not known.
///
/// | field | what |
/// |---|---|
/// | `time` | when the response ended: UTC, RFC 3339, milliseconds |
/// | `peer` | the fact [`SocketAddrs`]: address and port of the other end of the connection |
/// | `user` | the fact [`User`], in quotes |
/// | `method` | the method |
/// | `target` | the request's target as it was received, in quotes: for CONNECT host and port. Userinfo is shown as `***`; a query is shown |
/// | `version` | the request's version: `HTTP/1.1` |
/// | `status` | the status of the response |
/// | `received` | bytes of the request's body that were read; of a tunnel: bytes from the client |
/// | `sent` | bytes of the response's body that were taken; of a tunnel: bytes to the client |
/// | `duration_ms` | from the request's arrival here to the end, milliseconds with three decimals |
/// | `outcome` | `ok`; `cancelled`: the client has gone, or the server stopped; `error`: the service or the response's body failed; of a tunnel: what the relay said, else `ok` or `cut`. In quotes if it is no plain word |
/// | `trace` | the fact [`TraceContext`]: the id of the trace that the client names in `traceparent` |
///
/// In quotes, `"` and `\` stand behind a `\`, and every control character, line separator and unusual character is
/// written as `\u{1b}`, in JSON as `\u001b`: no value can end its field or its line. A value that is too long is cut, with
/// `...` behind the closing quote, in JSON before it. New fields may be added at the end.
///
/// # Cost
///
/// Two readings of the clock and one of the time of day, one allocation for the line, one for each body that is streamed,
/// and a short lock.
#[derive(Clone, Debug)]
pub struct AccessLogLayer {
    sink: AccessLogSink,
    time_of_day: fn() -> SystemTime,
}

impl AccessLogLayer {
    /// The most bytes of a target in a line, before escaping.
    pub const MAX_TARGET: usize = 2048;

    /// The most bytes of a user, a method or an outcome in a line, before escaping.
    pub const MAX_FIELD: usize = 128;

    /// Writes to this sink.
    #[must_use]
    pub fn new(sink: AccessLogSink) -> Self {
        Self { sink, time_of_day: SystemTime::now }
    }

    /// Takes the `time` of a line from another clock, as tests and simulations do.
    #[must_use]
    pub fn with_time_of_day(mut self, now: fn() -> SystemTime) -> Self {
        self.time_of_day = now;
        self
    }
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog { layer: self.clone(), inner }
    }
}

/// Made by [`AccessLogLayer`].
#[derive(Clone, Debug)]
pub struct AccessLog<S> {
    layer: AccessLogLayer,
    inner: S,
}

impl<S> Service<Request> for AccessLog<S>
where
    S: Service<Request<Body>, Output = Response<Body>>,
{
    type Output = Response;
    type Error = S::Error;

    async fn serve(&self, mut request: Request) -> Result<Response, S::Error> {
        let line = line::Line::begin(self.layer.sink.clone(), self.layer.time_of_day, &mut request);
        let exchange = Exchange::begin(line, &mut request);
        match self.inner.serve(request).await {
            Ok(response) => Ok(exchange.answer(response)),
            Err(error) => {
                exchange.fail();
                Err(error)
            }
        }
    }

    fn describe(&self) -> Description {
        Description::of::<Self>()
            .may_read::<SocketAddrs>()
            .may_read::<User>()
            .writes::<TunnelRecord>()
            .writes::<TraceContext>()
            .child(self.inner.describe())
    }
}
