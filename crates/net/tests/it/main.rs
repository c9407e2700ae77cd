//! Over real sockets on loopback. The modules say that they are tests, so that the lints for tests hold in their helpers too.

#[cfg(test)]
#[cfg(target_os = "linux")]
mod cable;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod dead_peer;
#[cfg(test)]
#[cfg(unix)]
mod descriptors;
#[cfg(test)]
mod dial;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod fast_open;
#[cfg(test)]
mod listen;
#[cfg(test)]
mod peek;
#[cfg(test)]
mod relay;
#[cfg(test)]
#[cfg(unix)]
mod support;
#[cfg(test)]
#[cfg(unix)]
mod unix;
#[cfg(test)]
mod unmet;
#[cfg(test)]
#[cfg(unix)]
mod workers;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod zone;
