//! The HTTP vocabulary: bodies, scopes on messages, upgrades and informational responses.
//!
//! Messages are the ecosystem's own `http::Request` and `http::Response`; here is what they lack.

mod body;
mod informational;
mod message;
mod trailers;
#[cfg(feature = "tokio")]
mod upgrade;

pub use body::{Body, BodyTooLarge, Progress};
pub use informational::{
    EditInformational, Informational, InformationalError, InformationalSink, InformationalSource, OnInformational,
};
pub use message::{Message, empty_extensions};
pub use trailers::is_forbidden_trailer;
#[cfg(feature = "tokio")]
pub use upgrade::{Upgrade, Upgraded};

/// A request with chaski's [`Body`].
pub type Request<B = Body> = http::Request<B>;

/// A response with chaski's [`Body`].
pub type Response<B = Body> = http::Response<B>;
