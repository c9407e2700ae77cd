//! What is known of a request, until its line is written.

use std::time::SystemTime;

use chaski_core::{
    Extensions, SocketAddrs, User,
    http::{Message, Request},
};
use http::{Method, Version};
use tokio::time::Instant;

use super::{
    AccessLogFormat, AccessLogSink, json,
    record::{Millis, Record, Rfc3339, target},
    text,
};
use crate::{
    TraceContext,
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
    /// The request's own scope, not a child: who the user is becomes known further inside.
    scope: Extensions,
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
            scope: request.scope().clone(),
        }
    }

    fn write(&self, end: &End, outcome: &str) {
        let record = Record {
            time: Rfc3339((self.time_of_day)()),
            peer: self.scope.get::<SocketAddrs>().map(|addrs| addrs.peer),
            user: self.scope.get::<User>().map(|User(name)| &**name),
            method: self.method.as_str(),
            target: &self.target,
            version: self.version,
            status: end.status.map(|status| status.as_u16()),
            received: end.received,
            sent: end.sent,
            duration: Millis(self.started.elapsed().as_micros()),
            outcome,
            trace: self.scope.get::<TraceContext>().map(TraceContext::trace_id),
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
