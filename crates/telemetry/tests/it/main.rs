//! The layers over services in memory. The modules say that they are tests, so that the lints for tests hold in their
//! helpers too.

#[cfg(test)]
mod access;
#[cfg(test)]
mod init;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod metrics;
