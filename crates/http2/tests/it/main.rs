//! The engines over pipes in memory, against the client of h2 and against frames that are written by hand.

#[cfg(test)]
mod server;
