//! The client over scripted sessions in memory, on a paused clock. The modules say that they are tests, so that the lints
//! for tests hold in their helpers too.

#[cfg(test)]
mod age;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod coalescing;
#[cfg(test)]
mod expect;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod pool;
#[cfg(test)]
mod reaper;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod reuse;
#[cfg(test)]
mod script;
#[cfg(test)]
mod server;
#[cfg(test)]
mod shared;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod timeout;
#[cfg(test)]
mod waiters;
