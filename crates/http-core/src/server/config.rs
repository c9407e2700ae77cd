use std::time::Duration;

use crate::codec::{BodyConfig, HeadConfig};

/// Limits of an [`Http1Server`](super::Http1Server). Every wait and every buffer has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http1ServerConfig {
    /// Limits of request heads.
    pub head: HeadConfig,
    /// Limits of what comes with a body besides its data.
    pub body: BodyConfig,
    /// How long a head may take: from the accept for the first one, from its first byte for those that follow.
    /// A head that is late is answered with 408, silence with a close. Default: 30 seconds; `None` waits for ever.
    pub head_timeout: Option<Duration>,
    /// How long a connection may wait between two requests. Default: 2 minutes; `None` waits for ever.
    pub idle_timeout: Option<Duration>,
    /// How long a read of the request's body may wait for the next byte, and how long a body that nobody reads may take to
    /// be drained. Default: 60 seconds; `None` waits for ever.
    pub body_timeout: Option<Duration>,
    /// How long a write may make no progress because the client does not read. Default: 60 seconds; `None` waits for ever.
    pub write_timeout: Option<Duration>,
    /// How many bytes of a body that the service left unread are read and thrown away, so that the connection can go on.
    /// With more than that to come, it is closed after the answer. Default: 256 KiB.
    pub drain_limit: u64,
    /// How long a connection that closes behind an answer goes on reading, until the client closes too: a client that is still
    /// sending gets the answer before the reset (RFC 9112 section 9.6). Default: 2 seconds.
    pub linger: Duration,
    /// Whether a client that has closed its sending side still wants its answer. Default: `false`, as with HTTP clients it
    /// has gone: the service's future is dropped.
    pub half_close: bool,
}

impl Default for Http1ServerConfig {
    fn default() -> Self {
        Self {
            head: HeadConfig::default(),
            body: BodyConfig::default(),
            head_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(120)),
            body_timeout: Some(Duration::from_secs(60)),
            write_timeout: Some(Duration::from_secs(60)),
            drain_limit: 256 * 1024,
            linger: Duration::from_secs(2),
            half_close: false,
        }
    }
}

/// Setters for the fields, one each.
macro_rules! with {
    ($($name:ident $field:ident: $type:ty;)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $name(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    )*};
}

impl Http1ServerConfig {
    with! {
        with_head head: HeadConfig;
        with_body body: BodyConfig;
        with_head_timeout head_timeout: Option<Duration>;
        with_idle_timeout idle_timeout: Option<Duration>;
        with_body_timeout body_timeout: Option<Duration>;
        with_write_timeout write_timeout: Option<Duration>;
        with_drain_limit drain_limit: u64;
        with_linger linger: Duration;
        with_half_close half_close: bool;
    }

    /// Sets one limit for all in which a client can be slow: [`head_timeout`](Self::head_timeout),
    /// [`body_timeout`](Self::body_timeout) and [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub fn with_client_timeout(self, limit: Duration) -> Self {
        self.with_head_timeout(Some(limit)).with_body_timeout(Some(limit)).with_write_timeout(Some(limit))
    }

    /// Sets [`header_layout`](HeadConfig::header_layout) of [`head`](Self::head): whether requests carry, as a fact, how
    /// their fields stood on the wire. Default: `false`.
    #[must_use]
    pub fn with_header_layout(mut self, record: bool) -> Self {
        self.head.header_layout = record;
        self
    }
}
