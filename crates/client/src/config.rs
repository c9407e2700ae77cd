use std::{fmt, sync::Arc, time::Duration};

use chaski_core::Host;

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
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_key: usize,
    pub(crate) max_waiting: usize,
    pub(crate) max_idle: usize,
    pub(crate) max_idle_per_key: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) max_age: Option<Duration>,
    pub(crate) jitter_seed: Option<u64>,
    /// `None` where the key tells.
    pub(crate) shared_sessions: Option<bool>,
    pub(crate) wait_timeout: Option<Duration>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) https: bool,
    pub(crate) retry_without_expectation: bool,
    pub(crate) coalescing: Option<AuthorityPolicy>,
}

/// Says whether a connection that was made to the first host may carry requests for the second.
#[derive(Clone)]
pub(crate) struct AuthorityPolicy(Arc<Policy>);

type Policy = dyn Fn(&Host, &Host) -> bool + Send + Sync;

impl AuthorityPolicy {
    pub(crate) fn allows(&self, connected: &Host, asked: &Host) -> bool {
        (self.0)(connected, asked)
    }
}

impl fmt::Debug for AuthorityPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorityPolicy")
    }
}

impl ClientConfig {
    /// How many connections may be open in all, unless set otherwise: fewer than the ports that one address has for dials, so
    /// that too many of them are noticed here, where they wait, and not by the system, where they fail.
    pub const DEFAULT_MAX_CONNECTIONS: usize = 16_384;

    /// How many calls may wait for a connection, unless set otherwise: as many again as may have one.
    pub const DEFAULT_MAX_WAITING: usize = 16_384;

    /// By how much the age of a connection may differ from [`with_max_age`](Self::with_max_age), in per cent: so that
    /// connections which were made together are not made anew together.
    pub const MAX_AGE_JITTER_PERCENT: u32 = 10;

    /// How often a request goes out again which the peer of a shared connection did not process: because it has as many under way
    /// there as that peer allows, or because it closes the connection (RFC 9113 section 8.7). Each time such a peer has told more
    /// of what it allows.
    pub const MAX_UNPROCESSED: usize = 8;

    /// How many connections are remembered as such that may carry requests for other hosts, those made last. See
    /// [`with_coalescing`](Self::with_coalescing).
    pub const MAX_COALESCING_CONNECTIONS: usize = 64;

    /// How many other hosts a connection carries requests for in its life, those included for which its peer wanted none. For one
    /// more, a connection is dialed.
    pub const MAX_COALESCED_HOSTS: usize = 64;

    /// How many connections are kept in all, unless set otherwise. They hold no buffers, so that what this bounds is sockets.
    pub const DEFAULT_MAX_IDLE: usize = 2_048;

    /// How many connections are kept for one key, unless set otherwise: as many as a gateway has requests under way to one
    /// server at a time. With fewer, each burst of answers closes connections that the next burst of requests dials anew.
    pub const DEFAULT_MAX_IDLE_PER_KEY: usize = 256;

    /// How long a connection is kept, unless set otherwise.
    pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(90);

    /// How long a call may wait for its turn to dial or for a connection of another call, unless set otherwise.
    pub const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long a dial may take, unless set otherwise.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Opens at most so many connections in all, dials under way included. At the limit the idle connection kept longest is
    /// closed to make room; when all are in use, calls wait. `0` counts as 1.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// Opens at most so many connections for one key; calls beyond that wait. `0` counts as 1. Default: no limit but that in
    /// all. A program that holds one response while it asks for the next would wait for itself at any low one, and how
    /// many are polite or fast depends on the server.
    #[must_use]
    pub fn with_max_connections_per_key(mut self, connections: usize) -> Self {
        self.max_connections_per_key = connections.max(1);
        self
    }

    /// Lets at most so many calls wait for a connection, in all. One more fails at once, with
    /// [`ClientErrorKind::Limit`](crate::ClientErrorKind::Limit). `0` lets none wait.
    #[must_use]
    pub fn with_max_waiting(mut self, calls: usize) -> Self {
        self.max_waiting = calls;
        self
    }

    /// Keeps at most so many connections in all; the one kept longest goes first. `0` keeps none. A shared
    /// one counts, but does not go while it is in use.
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

    /// Uses a connection for new requests no longer than so long, give or take
    /// [`MAX_AGE_JITTER_PERCENT`](Self::MAX_AGE_JITTER_PERCENT); requests under way on it finish. `None`, the default, sets no
    /// limit. One is of use where names move to other addresses, or where load is to be spread over servers that join.
    #[must_use]
    pub fn with_max_age(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.max_age = limit.into();
        self
    }

    /// Makes the jitter of [`with_max_age`](Self::with_max_age) the same in every run, for tests. Unless it is set, every client
    /// has a seed of its own.
    #[must_use]
    pub fn with_jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Says what to expect of a key that nothing is known about: sessions that requests share, as HTTP/2 has them (`true`), or
    /// sessions that a request has to itself. Where they are shared, one dial at a time is made for a key, and who comes
    /// meanwhile waits to join what it makes. A wrong guess costs dials that nobody needs, or a wait for one that was not
    /// necessary; as long as a key has connections, the last one made is what is expected. Default: shared over TLS, where HTTP/2
    /// is agreed on, and where a route asks for HTTP/2 ([`HttpVersions`](chaski_core::HttpVersions)); else not.
    #[must_use]
    pub fn with_shared_sessions(mut self, expected: bool) -> Self {
        self.shared_sessions = Some(expected);
        self
    }

    /// Limits the wait of a call for its turn to dial, or for a connection of another call. `None` sets no limit.
    #[must_use]
    pub fn with_wait_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.wait_timeout = limit.into();
        self
    }

    /// Limits a dial, from the look-up of the name to the end of all handshakes. `None` leaves that to the connector.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connect_timeout = limit.into();
        self
    }

    /// Limits the time from the call to the head of the final response: dial, sending and a retry included, the body of
    /// the response not. `None`, the default, sets no limit, because an upload of any length counts in it: for a
    /// limit from the end of the upload on, see the connector's own (`Http1ClientConfig::with_head_timeout`).
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

    /// Lets connections over TLS that requests share (HTTP/2) carry requests for other hosts than the one they were made to
    /// (RFC 9113 section 9.1.1), where nothing else is kept for those. `policy` is given the host that a connection was made to
    /// and the one that is asked for. Where it agrees, port and route have to be the same too, and what the server has shown has
    /// to prove that it is the other host, as on a new connection ([`ServerIdentity`](chaski_core::ServerIdentity)).
    ///
    /// Neither is the other host's name looked up then, nor is an address policy asked, and a certificate of the client's that the
    /// server has asked for counts for both: `policy` has to know that the hosts belong together.
    ///
    /// A server may want no such request, and say so with 421: the request goes out again on a connection of its own, whatever its
    /// method, and that host is not asked for there again. A body that is not in hand cannot be sent again, and goes only where a
    /// request for its host was answered before.
    ///
    /// Default: none, and each host has connections of its own.
    ///
    /// ```
    /// use chaski_client::ClientConfig;
    /// use chaski_core::{Domain, Host};
    ///
    /// const OURS: Domain = Domain::from_static("shop.example");
    /// let ours = |host: &Host| host.as_domain().is_some_and(|name| name.is_subdomain_of(&OURS));
    /// let config = ClientConfig::default().with_coalescing(move |connected, asked| ours(connected) && ours(asked));
    /// # let _ = config;
    /// ```
    #[must_use]
    pub fn with_coalescing(mut self, policy: impl Fn(&Host, &Host) -> bool + Send + Sync + 'static) -> Self {
        self.coalescing = Some(AuthorityPolicy(Arc::new(policy)));
        self
    }

    /// Whether a request with `Expect: 100-continue` that is answered with 417 goes out once more without the expectation,
    /// as far as its body can still be sent (RFC 9110 section 10.1.1). Default: `true`. A proxy hands the 417 on: the
    /// expectation is its client's.
    #[must_use]
    pub fn with_retry_without_expectation(mut self, yes: bool) -> Self {
        self.retry_without_expectation = yes;
        self
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            max_connections: Self::DEFAULT_MAX_CONNECTIONS,
            max_connections_per_key: usize::MAX,
            max_waiting: Self::DEFAULT_MAX_WAITING,
            max_idle: Self::DEFAULT_MAX_IDLE,
            max_idle_per_key: Self::DEFAULT_MAX_IDLE_PER_KEY,
            idle_timeout: Self::DEFAULT_IDLE_TIMEOUT,
            max_age: None,
            jitter_seed: None,
            shared_sessions: None,
            wait_timeout: Some(Self::DEFAULT_WAIT_TIMEOUT),
            connect_timeout: Some(Self::DEFAULT_CONNECT_TIMEOUT),
            timeout: None,
            https: false,
            retry_without_expectation: true,
            coalescing: None,
        }
    }
}
