//! What the two sides share: bodies in both directions with their flow control, deadlines, and the IO beneath h2.

mod budget;
mod chunk;
mod incoming;
mod meter;
mod ping;
mod pump;
mod trailers;
mod tunnel;
mod wire;

pub(crate) use budget::Budget;
pub(crate) use chunk::{Chunk, Room};
pub(crate) use incoming::Incoming;
pub(crate) use ping::{PingConfig, PingEvent, Pinger};
pub(crate) use pump::{Pump, PumpError};
pub(crate) use tunnel::Tunnel;
pub(crate) use wire::{Wire, WireState};
