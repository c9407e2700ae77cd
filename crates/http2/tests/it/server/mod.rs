//! `Http2Server`, by theme. Time is paused.

mod frames;
mod harness;

mod bodies;
mod cancel;
mod connect;
mod cookies;
mod deadlines;
mod expect;
mod failures;
mod fairness;
mod floods;
mod flow;
mod heads;
mod informational;
mod malformed;
mod peers;
mod pings;
mod settings;
mod shutdown;
