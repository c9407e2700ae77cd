//! Both sides over pipes in memory, and against captured bytes and programs of others. The modules say that they are tests, so
//! that the lints for tests hold in their helpers too.

#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod agree;
#[cfg(test)]
#[cfg(all(unix, any(feature = "aws-lc-rs", feature = "ring")))]
mod browsers;
#[cfg(test)]
mod captures;
#[cfg(test)]
#[cfg(all(feature = "issuing", any(feature = "aws-lc-rs", feature = "ring")))]
mod certificates;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod choices;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod client_auth;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod closing;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod directory;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod faults;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod handshake;
#[cfg(test)]
mod hello;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod identity;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod issuing;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod key_log;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod loading;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod names;
#[cfg(test)]
#[cfg(feature = "tokio")]
mod peek;
#[cfg(test)]
#[cfg(feature = "tokio")]
mod peers;
#[cfg(test)]
#[cfg(all(unix, any(feature = "aws-lc-rs", feature = "ring")))]
mod programs;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod resumption;
#[cfg(test)]
#[cfg(feature = "tokio")]
mod router;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod support;
#[cfg(test)]
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod verify;
