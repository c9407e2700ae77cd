//! TCP and in-memory listeners and connectors: where connections come from.

mod accept;
mod dialer;
mod error;
pub mod memory;
mod options;
mod resolver;
mod tcp;

pub use dialer::{DialAttempt, DialOutcome, DialReport, Dialer, IpFamily, LocalAddr};
pub use error::{BindError, ResolveError};
pub use options::SocketOptions;
pub use resolver::{Addrs, Lookup, SystemResolver};
pub use tcp::{Adopt, DialAddr, TcpListener, TcpTransport, adopt};
