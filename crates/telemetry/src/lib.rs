//! What services tell of their work: logs, an access log, counters.
//!
//! - [`init`] sets up `tracing` for a program in one call. Libraries only emit events; the program decides where they go.
//! - [`AccessLogLayer`] writes one line for each request, when its response has ended, through an [`AccessLogSink`]: a
//!   queue and a thread, so that a slow disk does not hold requests up. A line is text or a JSON object.
//! - [`TraceContext`] is what a client says in `traceparent`, so that lines can be joined with traces.
//! - [`Metrics`] counts connections, requests, bytes and tunnels, by outcome. Its layers do the counting,
//!   [`Metrics::snapshot`] tells the figures.
//! - [`TunnelRecord`] is how a relay tells both what a tunnel has carried.
//!
//! Without a layer in the stack nothing of it costs anything. This crate exports to no collector, begins no traces, and writes
//! no format of other programs.
//!
//! # Example
//!
//! ```
//! use chaski_core::{Service, http::{Body, Request, Response}, service_fn, stack};
//! use chaski_telemetry::{AccessLogLayer, AccessLogSink, Metrics};
//! use std::{convert::Infallible, io::Write, sync::{Arc, Mutex}};
//!
//! /// A log in memory.
//! #[derive(Clone, Default)]
//! struct Memory(Arc<Mutex<Vec<u8>>>);
//!
//! impl Write for Memory {
//!     fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> { self.0.lock().unwrap().write(bytes) }
//!     fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
//! }
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let memory = Memory::default();
//! let (sink, guard) = AccessLogSink::to(memory.clone())?;
//! let metrics = Metrics::new();
//! let service = stack(
//!     (metrics.request_layer(), AccessLogLayer::new(sink)),
//!     service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::full("hello")))),
//! );
//!
//! service.serve(http::Request::get("/a\"b").body(Body::empty())?).await?;
//! drop(guard); // Waits until the lines are written.
//!
//! let log = String::from_utf8(memory.0.lock().unwrap().clone())?;
//! assert!(log.contains(r#" method=GET target="/a\"b" version=HTTP/1.1 status=200 received=0 sent=5 "#), "{log}");
//! assert_eq!(metrics.snapshot().requests.ok, 1);
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # Cancellation
//!
//! A request whose future or whose response's body is dropped before its end is logged and counted as `cancelled`, a
//! tunnel that is dropped as `cut`.
//!
//! # Limits
//!
//! | what | constant | why |
//! |---|---|---|
//! | lines waiting to be written, in bytes | [`AccessLogSink::MAX_QUEUED_BYTES`] | memory is bounded when the disk is slow; lines beyond are dropped and counted |
//! | wait for the last lines at the end | [`AccessLogGuard::FLUSH_LIMIT`] | a pipe that nobody reads must not keep a program alive |
//! | a target in a line, in bytes | [`AccessLogLayer::MAX_TARGET`] | lines stay readable, and a client cannot fill the disk at will |
//! | a user, a method, an outcome in a line, in bytes | [`AccessLogLayer::MAX_FIELD`] | likewise |
//!
//! # Specification
//!
//! | [W3C Trace Context](https://www.w3.org/TR/trace-context/) | status |
//! |---|---|
//! | 3.2 `traceparent` | read strictly; all-zero ids, upper case and version `ff` are invalid |
//! | 3.3 `tracestate` | not read |
//! | 4.3 later versions | the four known parts are read |
//! | 4 changing the fields | never: what came is passed on |

mod access;
mod exchange;
mod log;
mod metrics;
mod trace_context;
mod tunnel;

pub use access::{AccessLog, AccessLogFormat, AccessLogGuard, AccessLogLayer, AccessLogSink};
pub use log::{InitError, LogConfig, LogFormat, init};
pub use metrics::{
    ConnectionCounts, ConnectionMetrics, ConnectionMetricsLayer, Metrics, MetricsSnapshot, RequestCounts,
    RequestMetrics, RequestMetricsLayer, TunnelCounts,
};
pub use trace_context::{InvalidTraceContext, ParentId, TraceContext, TraceId};
pub use tunnel::TunnelRecord;
