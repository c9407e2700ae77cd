//! `Http1Server`, by theme. Bytes are written by hand on both sides; time is paused.

mod harness;

mod bodies;
mod cancel;
mod closing;
mod deadlines;
mod expect;
mod failures;
mod fairness;
mod framing;
mod fuzz;
mod informational;
mod layout;
mod pipelining;
mod shutdown;
mod streaming;
mod threads;
mod trailers;
mod upgrade;
