//! The client over scripted sessions in memory, on a paused clock. The modules say that they are tests, so that the lints
//! for tests hold in their helpers too.

#[cfg(test)]
mod pool;
#[cfg(test)]
mod retry;
#[cfg(test)]
mod server;
#[cfg(test)]
mod timeout;
