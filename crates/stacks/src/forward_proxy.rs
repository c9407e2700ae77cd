use std::{io, num::NonZeroUsize, sync::Arc, time::Duration};

use chaski_client::{Client, ClientConfig, ClientError};
use chaski_core::{BoxError, Conn, Io, Service, ServiceExt, find_cause, optional, stack};
use chaski_http_core::{Http1ClientConfig, Http1Connector, Http1Error, Http1ServerConfig};
use chaski_http2::Http2ServerConfig;
use chaski_middleware::Rate;
use chaski_net::{Dialer, PerWorker, Relay, RelayConfig};
use chaski_proxy::{CallerLimitLayer, Credentials, ForwardProxy, ProxyAuthLayer, Pseudonym, Rules, Users, UsersFile};
use chaski_telemetry::{AccessLogLayer, AccessLogSink, Metrics};

use crate::{HttpServer, rate_per_user::rate_per_user, recorded_relay::RecordedRelay};

/// Settings of [`forward_proxy`].
#[derive(Clone, Debug)]
pub struct ForwardProxyConfig {
    rules: Rules,
    users: Option<Users>,
    max_per_user: Option<NonZeroUsize>,
    rate_per_user: Option<Rate>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    client_timeout: Option<Duration>,
    access_log: Option<AccessLogSink>,
    metrics: Metrics,
    header_layout: bool,
    workers: NonZeroUsize,
}

impl Default for ForwardProxyConfig {
    fn default() -> Self {
        Self {
            rules: Rules::public_only(),
            users: None,
            max_per_user: None,
            rate_per_user: None,
            connect_timeout: Self::DEFAULT_CONNECT_TIMEOUT,
            idle_timeout: Self::DEFAULT_IDLE_TIMEOUT,
            client_timeout: None,
            access_log: None,
            metrics: Metrics::new(),
            header_layout: false,
            workers: NonZeroUsize::MIN,
        }
    }
}

impl ForwardProxyConfig {
    /// How long a dial may take, resolving included, unless set otherwise.
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long connections may be idle, unless set otherwise.
    pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(300);

    /// How many users and addresses the [rate limit](Self::with_rate_per_user) tells apart at a time. Beyond them the one who
    /// has asked least starts anew.
    pub const MAX_RATES: NonZeroUsize = NonZeroUsize::new(65_536).unwrap();

    /// Sets where clients may get to. Default: public addresses alone.
    #[must_use]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    /// Asks clients for a name and a password, one of these and of those named before; with none at all, nobody is let in.
    /// Unless this is called, nobody is asked: everybody who can connect is served.
    #[must_use]
    pub fn with_users(mut self, users: impl IntoIterator<Item = Credentials>) -> Self {
        self.users = Some(self.users.unwrap_or_default().with_credentials(users));
        self
    }

    /// Asks clients for a name and a password, one of this file or of those [named](Self::with_users) one by one. The caller
    /// keeps a clone to have the file read again.
    #[must_use]
    pub fn with_users_file(mut self, file: UsersFile) -> Self {
        self.users = Some(self.users.unwrap_or_default().with_file(file));
        self
    }

    /// Sets how many requests and tunnels a user may have under way at a time; where clients are not asked who they are, a
    /// network address (of IPv6, its first 64 bits). Beyond that the answer is 429. Default: no limit.
    #[must_use]
    pub fn with_max_per_user(mut self, limit: NonZeroUsize) -> Self {
        self.max_per_user = Some(limit);
        self
    }

    /// Sets how often a user, or else a network address, may ask for something. Beyond that the answer is 429. Default: no
    /// limit.
    #[must_use]
    pub fn with_rate_per_user(mut self, rate: Rate) -> Self {
        self.rate_per_user = Some(rate);
        self
    }

    /// Sets how long a dial may take, resolving included; and a request that has to wait because of the limits on open
    /// connections, before that. Default: 10 seconds each.
    #[must_use]
    pub fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets how long nothing may happen: in a tunnel, between a request and its answer (504 then), in the body of an answer,
    /// and on a client's connection between two requests. Default: 5 minutes.
    #[must_use]
    pub fn with_idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = limit;
        self
    }

    /// Sets how long a client may take to send the head of a request, and may stand still within its body or while it is to
    /// read an answer. Default: those of [`Http1ServerConfig`] and [`Http2ServerConfig`], 30 seconds for a head and 60 for the rest.
    #[must_use]
    pub fn with_client_timeout(mut self, limit: Duration) -> Self {
        self.client_timeout = Some(limit);
        self
    }

    /// Writes a line for each request and each tunnel. Default: none.
    #[must_use]
    pub fn with_access_log(mut self, sink: AccessLogSink) -> Self {
        self.access_log = Some(sink);
        self
    }

    /// Counts with these counters, of which the caller keeps a clone.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Keeps the order and the case of the fields of what is forwarded, both ways, as far as a
    /// [`HeaderLayout`](chaski_http_core::HeaderLayout) does. Default: `false`, names go out in lower case.
    #[must_use]
    pub fn with_header_layout(mut self, keep: bool) -> Self {
        self.header_layout = keep;
        self
    }

    /// Keeps connections to origins apart for each of so many threads, [`Workers::count`](chaski_net::Workers::count): those
    /// that a thread has opened are used again on it alone, and the limits of open ones hold for each. Everything else is one
    /// for all. Default: 1, for the runtimes of tokio.
    #[must_use]
    pub fn with_workers(mut self, workers: NonZeroUsize) -> Self {
        self.workers = workers;
        self
    }
}

/// An HTTP forward proxy: absolute-form requests and CONNECT tunnels, in HTTP/1.0, 1.1 and 2. To origins it speaks HTTP/1.1.
///
/// Serve it with a listener, for clients that come over TLS below an acceptor that offers
/// [`HttpServer::ALPN`]. `IO` is what its connections stand on. For listeners of several kinds take
/// [`BoxIo`](chaski_core::BoxIo), and have each one's connections boxed.
pub fn forward_proxy<IO: Io>(config: ForwardProxyConfig) -> impl Service<Conn<IO>, Output = (), Error = BoxError> {
    let ForwardProxyConfig {
        rules,
        users,
        max_per_user,
        rate_per_user: rate,
        connect_timeout,
        idle_timeout,
        client_timeout,
        access_log,
        metrics,
        header_layout,
        workers,
    } = config;
    let mut clients =
        Http1ServerConfig::default().with_idle_timeout(Some(idle_timeout)).with_header_layout(header_layout);
    let mut http2_clients = Http2ServerConfig::default().with_idle_timeout(Some(idle_timeout));
    if let Some(limit) = client_timeout {
        clients = clients.with_client_timeout(limit);
        http2_clients = http2_clients.with_client_timeout(limit);
    }
    // In Via, and in the Proxy-Status of all that answer here.
    let name = Pseudonym::random();
    // One dialer for requests and tunnels: the rules are asked just before every connect, whatever led there.
    let dialer = Arc::new(
        Dialer::new().with_policy(rules).with_connect_timeout(connect_timeout).with_total_timeout(connect_timeout),
    );
    let client = || {
        Client::with_config(
            Http1Connector::new(
                Arc::clone(&dialer),
                // Bounds what an origin can hold up: the client's connection, and with it one of the listener's permits.
                Http1ClientConfig::default()
                    .with_head_timeout(Some(idle_timeout))
                    .with_body_timeout(Some(idle_timeout))
                    .with_header_layout(header_layout),
            ),
            // The dialer has the limit of a dial already, and its errors say more; the wait before it is the client's. What becomes
            // of an expectation is for the client to decide whose it is.
            ClientConfig::default()
                .with_connect_timeout(None)
                .with_wait_timeout(connect_timeout)
                .with_retry_without_expectation(false),
        )
    };
    let requests = stack(
        (
            // Outermost, so that what is refused is counted and logged too.
            metrics.request_layer(),
            optional(access_log.map(AccessLogLayer::new)),
            // Outside of the proxy: who is not let in learns nothing about targets, not even by the time it takes.
            optional(users.map(|users| ProxyAuthLayer::new(users).with_pseudonym(name.clone()))),
            // Inside of authentication, which tells users apart. The rate comes first: who is over the other limit and asks
            // again and again is slowed down too.
            optional(rate.map(|rate| rate_per_user(rate, ForwardProxyConfig::MAX_RATES, name.clone()))),
            optional(max_per_user.map(|limit| CallerLimitLayer::new(limit).with_pseudonym(name.clone()))),
        ),
        ForwardProxy::new(
            // Below the proxy, which knows no HTTP engine: it tells the client what became of the connection.
            ServiceExt::map_err(PerWorker::new(workers, client), name_the_end),
            dialer,
            RecordedRelay::new(Relay::new(RelayConfig::default().with_idle(idle_timeout))),
        )
        .with_pseudonym(name),
    );
    stack(metrics.connection_layer(), HttpServer::new(requests).with_http1(clients).with_http2(http2_clients))
}

/// Names the end of a connection by the error that IO has for it. An engine's own error for an orderly close before a
/// response cannot be told from one for a malformed response where engines are not known.
fn name_the_end(error: ClientError) -> BoxError {
    match find_cause::<Http1Error>(&error) {
        Some(Http1Error::ClosedBeforeResponse { .. } | Http1Error::TruncatedHead) => {
            io::Error::new(io::ErrorKind::UnexpectedEof, error).into()
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use chaski_core::{BoxIo, describe};

    use super::*;

    /// A list of users that was read from an empty file must not open the proxy to everybody.
    #[test]
    fn a_proxy_for_no_users_lets_nobody_in() {
        let tree = |config| describe::<Conn<BoxIo>, _>(&forward_proxy(config)).to_string();
        let closed = tree(ForwardProxyConfig::default().with_users([]));
        assert!(closed.contains("ProxyAuth users=0"), "{closed}");
        let open = tree(ForwardProxyConfig::default());
        assert!(!open.contains("ProxyAuth"), "{open}");
    }

    /// All of a connection is behind this: what it is while it is idle, and the tunnel that it may become.
    #[test]
    fn what_a_task_holds_for_a_connection_is_small() {
        let proxy = forward_proxy(ForwardProxyConfig::default());
        let io: BoxIo = Box::new(tokio::io::duplex(1).0);
        let bytes = size_of_val(&proxy.serve(Conn::new(io)));
        assert!(bytes <= 128, "{bytes}");
    }

    /// A dial has its limit in the dialer; a request that waits for its turn to dial has not reached that yet.
    #[test]
    fn the_wait_for_a_connection_has_the_limit_of_a_dial() {
        let config = ForwardProxyConfig::default().with_connect_timeout(Duration::from_secs(3));
        let tree = describe::<Conn<BoxIo>, _>(&forward_proxy(config)).to_string();
        assert!(tree.contains("wait_timeout=3s"), "{tree}");
    }
}
