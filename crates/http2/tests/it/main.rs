//! The engines over pipes in memory and over loopback, against the two sides of h2 and against frames that are written by hand, and against programs of others.

#[cfg(test)]
mod client;
#[cfg(test)]
mod server;
#[cfg(test)]
mod support;
