//! TCP: listeners, the connect of one address, and streams that the caller brings.

mod adopt;
mod listener;
mod transport;

pub use adopt::{Adopt, adopt};
pub use listener::TcpListener;
pub use transport::{DialAddr, TcpTransport};
