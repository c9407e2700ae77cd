//! Over real sockets on loopback. The modules say that they are tests, so that the lints for tests hold in their helpers too.

#[cfg(test)]
mod descriptors;
#[cfg(test)]
mod dial;
#[cfg(test)]
mod listen;
#[cfg(test)]
mod peek;
#[cfg(test)]
mod relay;
#[cfg(test)]
#[cfg(unix)]
mod unix;
#[cfg(test)]
mod unmet;
