//! The engines over pipes in memory, against the two sides of h2 and against frames that are written by hand.

#[cfg(test)]
mod client;
#[cfg(test)]
mod server;
