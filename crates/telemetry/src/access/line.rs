//! What is known of a request, until its line is written.

use std::{net::SocketAddr, time::SystemTime};

use chaski_core::{
    Extensions, SocketAddrs, User,
    http::{Message, Request},
};
use http::{Method, StatusCode, Version};
use tokio::time::Instant;

use super::{
    AccessLogFormat, AccessLogSink, json,
    record::{Millis, Record, Rfc3339, target},
    text,
};
use crate::{
    TraceContext, TraceId,
    exchange::{End, Observer, Outcome},
};

/// What is known of a request when it arrives, and where its line goes.
pub(super) struct Line {
    sink: AccessLogSink,
    time_of_day: fn() -> SystemTime,
    started: Instant,
    method: Method,
    /// A copy: the URI shares the buffer of the head, which is not to last as long as a tunnel.
    target: String,
    version: Version,
    client: Client,
}

/// Who asked.
enum Client {
    /// To be looked up when the line is written: the request's own scope, not a child, as who the user is becomes known
    /// further inside.
    Scope(Extensions),
    /// Looked up when the request became a tunnel, which may last for days and is not to keep the scopes of its request and
    /// connection.
    Known(Box<Facts>),
}

#[derive(Clone)]
struct Facts {
    peer: Option<SocketAddr>,
    user: Option<User>,
    trace: Option<TraceId>,
}

impl Client {
    fn facts(&self) -> Facts {
        match self {
            Self::Scope(scope) => Facts {
                peer: scope.get::<SocketAddrs>().map(|addrs| addrs.peer),
                user: scope.get::<User>().cloned(),
                trace: scope.get::<TraceContext>().map(TraceContext::trace_id),
            },
            Self::Known(facts) => (**facts).clone(),
        }
    }
}

impl Line {
    pub(super) fn begin(sink: AccessLogSink, time_of_day: fn() -> SystemTime, request: &mut Request) -> Self {
        if let Some(context) = TraceContext::of(request.headers()) {
            request.scope().insert(context);
        }
        Self {
            sink,
            time_of_day,
            started: Instant::now(),
            method: request.method().clone(),
            target: target(request.uri()),
            version: request.version(),
            client: Client::Scope(request.scope().clone()),
        }
    }

    fn write(&self, end: &End, outcome: &str) {
        let Facts { peer, user, trace } = self.client.facts();
        let record = Record {
            time: Rfc3339((self.time_of_day)()),
            peer,
            user: user.as_ref().map(|User(name)| &**name),
            method: self.method.as_str(),
            target: &self.target,
            version: self.version,
            status: end.status.map(|status| status.as_u16()),
            received: end.received,
            sent: end.sent,
            duration: Millis(self.started.elapsed().as_micros()),
            outcome,
            trace,
        };
        let mut line = String::with_capacity(320);
        // Writing to a string does not fail.
        let _ = match self.sink.format() {
            AccessLogFormat::Text => text::write(&mut line, &record),
            AccessLogFormat::Json => json::write(&mut line, &record),
        };
        self.sink.write(&line);
    }
}

impl Observer for Line {
    fn tunnel_began(&mut self, _status: StatusCode) {
        self.client = Client::Known(Box::new(self.client.facts()));
    }

    fn tunnel_ended(&mut self, end: &End, outcome: &str) {
        self.write(end, outcome);
    }

    fn ended(&mut self, end: &End, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Ok => "ok",
            Outcome::Cancelled => "cancelled",
            Outcome::Error => "error",
        };
        self.write(end, outcome);
    }
}
