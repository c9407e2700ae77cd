use std::time::Duration;

/// The settings of a [`Client`](crate::Client).
///
/// ```
/// use chaski_client::ClientConfig;
/// use std::time::Duration;
///
/// let config = ClientConfig::default().with_idle_timeout(Duration::from_secs(30)).with_max_idle_per_key(4);
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub(crate) max_idle: usize,
    pub(crate) max_idle_per_key: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) https: bool,
}

impl ClientConfig {
    /// How many connections are kept in all, unless set otherwise.
    pub const DEFAULT_MAX_IDLE: usize = 512;

    /// How many connections are kept for one key, unless set otherwise.
    pub const DEFAULT_MAX_IDLE_PER_KEY: usize = 32;

    /// How long a connection is kept, unless set otherwise.
    pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(90);

    /// How long a dial may take, unless set otherwise.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Keeps at most so many connections in all; the one kept longest goes first. `0` keeps none.
    #[must_use]
    pub fn with_max_idle(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Keeps at most so many connections for one key. `0` keeps none.
    #[must_use]
    pub fn with_max_idle_per_key(mut self, connections: usize) -> Self {
        self.max_idle_per_key = connections;
        self
    }

    /// Keeps an idle connection for so long. Shorter than what servers allow, or requests meet a server that is closing.
    #[must_use]
    pub fn with_idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// Limits a dial, from the look-up of the name to the end of all handshakes. `None` leaves it to the connector.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = limit.into();
        self
    }

    /// Limits the time from the call to the head of the final response: dial, sending and a retry included, the body of
    /// the response not. `None`, the default, sets no limit, because an upload of any length counts in it.
    #[must_use]
    pub fn with_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeout = limit.into();
        self
    }

    /// Says that the connector speaks TLS when it is asked for [`Protocol::Https`](chaski_core::Protocol::Https). Until it
    /// is said, `https` URIs are refused: a connector that does not know of TLS would send the request in clear.
    #[must_use]
    pub fn with_https(mut self, yes: bool) -> Self {
        self.https = yes;
        self
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            max_idle: Self::DEFAULT_MAX_IDLE,
            max_idle_per_key: Self::DEFAULT_MAX_IDLE_PER_KEY,
            idle_timeout: Self::DEFAULT_IDLE_TIMEOUT,
            connect_timeout: Some(Self::DEFAULT_CONNECT_TIMEOUT),
            timeout: None,
            https: false,
        }
    }
}
