//! Unix sockets: listeners, connectors, and streams that the caller brings.

mod addr;
mod adopt;
mod connector;
mod file;
mod listener;

pub use addr::{PeerCredentials, UnixAddr};
pub use adopt::adopt_unix;
pub use connector::UnixConnector;
pub use listener::{UnixListener, UnixOptions};
