use std::time::Duration;

use chaski_core::Shutdown;

use crate::engine::PingConfig;

/// How a client speaks HTTP/2 on its connections.
///
/// ```
/// use chaski_http2::Http2ClientConfig;
/// use std::time::Duration;
///
/// let config = Http2ClientConfig::default().with_head_timeout(Some(Duration::from_secs(30)));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Http2ClientConfig {
    /// How many bytes of one response's body may be on their way, or received and not read, to begin with; 2^31 - 1 at most.
    ///
    /// Default: [`DEFAULT_STREAM_WINDOW`](Self::DEFAULT_STREAM_WINDOW).
    pub stream_window: u32,
    /// How far that may grow for a peer that is far away: it does while a response fills it in one round trip, as PING measures
    /// it, and round trips do not get longer for it; to a quarter of [`connection_window`](Self::connection_window) at most.
    /// Not above [`stream_window`](Self::stream_window), that stays as it is.
    ///
    /// Leave it where the peer measures in the same way and both directions may be full: h2 reads nothing while it owes the
    /// answer to a PING and cannot write it, and two sides that both do that wait for each other.
    ///
    /// Default: 0, it does not grow.
    pub max_window: u32,
    /// The same for all responses of a connection together: what a connection can hold in memory for them. Responses that nobody
    /// reads keep others from coming once they fill it.
    ///
    /// Default: [`DEFAULT_CONNECTION_WINDOW`](Self::DEFAULT_CONNECTION_WINDOW).
    pub connection_window: u32,
    /// The largest head or trailer section of a response, in bytes as RFC 9113 section 6.5.2 counts them: each field with 32
    /// more. A larger one fails its request, one that is far larger ends the connection.
    ///
    /// Default: [`DEFAULT_MAX_HEADER_LIST`](Self::DEFAULT_MAX_HEADER_LIST).
    pub max_header_list: u32,
    /// How many requests may be under way before the peer has said how many it allows. Those beyond what it then allows are
    /// refused by it, unprocessed, and can be sent again.
    ///
    /// Default: [`DEFAULT_INITIAL_STREAMS`](Self::DEFAULT_INITIAL_STREAMS).
    pub initial_streams: usize,
    /// How long the body of a request with `Expect: 100-continue` is held back when neither `100` nor a final response
    /// comes. Then it is sent all the same (RFC 9110 section 10.1.1).
    ///
    /// Default: [`DEFAULT_EXPECT_TIMEOUT`](Self::DEFAULT_EXPECT_TIMEOUT).
    pub expect_timeout: Duration,
    /// How long the peer may take nothing of a request's body because its window is shut, and how long it may read nothing of
    /// the connection while there is something to be written. The first fails the request, the second the connection.
    ///
    /// Default: [`DEFAULT_WRITE_TIMEOUT`](Self::DEFAULT_WRITE_TIMEOUT); `None` waits for ever.
    pub write_timeout: Option<Duration>,
    /// How long the final response's head may take, from the moment at which the request was handed over completely;
    /// informational responses do not extend it.
    ///
    /// Default: `None`, no limit: how long an answer may take depends on what was asked, so it is set where that is known.
    pub head_timeout: Option<Duration>,
    /// How long the peer may send nothing while a response's body is read.
    ///
    /// Default: `None`, no limit, as for [`head_timeout`](Self::head_timeout).
    pub body_timeout: Option<Duration>,
    /// After how long a silence a peer that has requests under way is sent a PING, to notice a path that is dead.
    ///
    /// Default: `None`, never; TCP's own keep-alive may do.
    pub keep_alive_interval: Option<Duration>,
    /// How long the answer to that PING, or any other byte, may take. Then the connection is given up.
    ///
    /// Default: [`DEFAULT_KEEP_ALIVE_TIMEOUT`](Self::DEFAULT_KEEP_ALIVE_TIMEOUT).
    pub keep_alive_timeout: Duration,
    /// Whether PINGs are sent on an idle connection too. Some peers take that amiss.
    ///
    /// Default: no.
    pub keep_alive_while_idle: bool,
    /// The most informational responses (1xx) before a final one.
    ///
    /// Default: [`DEFAULT_MAX_INFORMATIONAL`](Self::DEFAULT_MAX_INFORMATIONAL).
    pub max_informational: usize,
    /// How many frames the peer may send in 10 seconds that no message accounts for: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, DATA
    /// without any, unknown ones. Each frame of a response makes up for one of them, each of a request for two, and for one
    /// more with each KiB of its data. Beyond it the connection is closed with `ENHANCE_YOUR_CALM`.
    ///
    /// Default: [`DEFAULT_MAX_CONTROL_FRAMES`](Self::DEFAULT_MAX_CONTROL_FRAMES).
    pub max_control_frames: u32,
    /// Whether a field `cookie` is sent as several, one for each cookie, which compresses better (RFC 9113 section 8.2.3).
    ///
    /// Default: no.
    pub split_cookies: bool,
    /// What the background tasks of connections belong to: its drain closes idle connections, lets busy ones finish, and waits for
    /// them; its cut ends them.
    ///
    /// Default: `None`; a task ends when its session was dropped and its requests are done.
    pub shutdown: Option<Shutdown>,
}

impl Default for Http2ClientConfig {
    fn default() -> Self {
        Self {
            stream_window: Self::DEFAULT_STREAM_WINDOW,
            max_window: 0,
            connection_window: Self::DEFAULT_CONNECTION_WINDOW,
            max_header_list: Self::DEFAULT_MAX_HEADER_LIST,
            initial_streams: Self::DEFAULT_INITIAL_STREAMS,
            expect_timeout: Self::DEFAULT_EXPECT_TIMEOUT,
            write_timeout: Some(Self::DEFAULT_WRITE_TIMEOUT),
            head_timeout: None,
            body_timeout: None,
            keep_alive_interval: None,
            keep_alive_timeout: Self::DEFAULT_KEEP_ALIVE_TIMEOUT,
            keep_alive_while_idle: false,
            max_informational: Self::DEFAULT_MAX_INFORMATIONAL,
            max_control_frames: Self::DEFAULT_MAX_CONTROL_FRAMES,
            split_cookies: false,
            shutdown: None,
        }
    }
}

impl Http2ClientConfig {
    /// The default of [`stream_window`](Self::stream_window): 1 MiB, a hundred megabits per second over 80 milliseconds.
    pub const DEFAULT_STREAM_WINDOW: u32 = 1024 * 1024;

    /// The default of [`connection_window`](Self::connection_window): 16 MiB, so that fifteen responses that nobody reads leave
    /// the next one its whole window.
    pub const DEFAULT_CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

    /// The default of [`max_header_list`](Self::max_header_list): 64 KiB, as for HTTP/1.1.
    pub const DEFAULT_MAX_HEADER_LIST: u32 = 64 * 1024;

    /// The default of [`initial_streams`](Self::initial_streams): 100, the least that RFC 9113 section 6.5.2 recommends to
    /// allow.
    pub const DEFAULT_INITIAL_STREAMS: usize = 100;

    /// The default of [`expect_timeout`](Self::expect_timeout): 1 second, as other clients wait.
    pub const DEFAULT_EXPECT_TIMEOUT: Duration = Duration::from_secs(1);

    /// The default of [`write_timeout`](Self::write_timeout): 1 minute, as on the server's side.
    pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

    /// The default of [`keep_alive_timeout`](Self::keep_alive_timeout): 20 seconds, as on the server's side.
    pub const DEFAULT_KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

    /// The default of [`max_informational`](Self::max_informational): far more than a server has reason to send, few
    /// enough that a stream of them ends.
    pub const DEFAULT_MAX_INFORMATIONAL: usize = 64;

    /// The default of [`max_control_frames`](Self::max_control_frames): 1000, as on the server's side.
    pub const DEFAULT_MAX_CONTROL_FRAMES: u32 = 1000;

    /// Sets [`stream_window`](Self::stream_window).
    #[must_use]
    pub fn with_stream_window(mut self, bytes: u32) -> Self {
        self.stream_window = bytes;
        self
    }

    /// Sets [`max_window`](Self::max_window).
    #[must_use]
    pub fn with_max_window(mut self, bytes: u32) -> Self {
        self.max_window = bytes;
        self
    }

    /// Sets [`connection_window`](Self::connection_window).
    #[must_use]
    pub fn with_connection_window(mut self, bytes: u32) -> Self {
        self.connection_window = bytes;
        self
    }

    /// Sets [`max_header_list`](Self::max_header_list).
    #[must_use]
    pub fn with_max_header_list(mut self, bytes: u32) -> Self {
        self.max_header_list = bytes;
        self
    }

    /// Sets [`initial_streams`](Self::initial_streams).
    #[must_use]
    pub fn with_initial_streams(mut self, count: usize) -> Self {
        self.initial_streams = count;
        self
    }

    /// Sets [`expect_timeout`](Self::expect_timeout).
    #[must_use]
    pub fn with_expect_timeout(mut self, timeout: Duration) -> Self {
        self.expect_timeout = timeout;
        self
    }

    /// Sets [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub fn with_write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets [`head_timeout`](Self::head_timeout).
    #[must_use]
    pub fn with_head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// Sets [`body_timeout`](Self::body_timeout).
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Sets [`keep_alive_interval`](Self::keep_alive_interval).
    #[must_use]
    pub fn with_keep_alive_interval(mut self, interval: Option<Duration>) -> Self {
        self.keep_alive_interval = interval;
        self
    }

    /// Sets [`keep_alive_timeout`](Self::keep_alive_timeout).
    #[must_use]
    pub fn with_keep_alive_timeout(mut self, timeout: Duration) -> Self {
        self.keep_alive_timeout = timeout;
        self
    }

    /// Sets [`keep_alive_while_idle`](Self::keep_alive_while_idle).
    #[must_use]
    pub fn with_keep_alive_while_idle(mut self, while_idle: bool) -> Self {
        self.keep_alive_while_idle = while_idle;
        self
    }

    /// Sets [`max_informational`](Self::max_informational).
    #[must_use]
    pub fn with_max_informational(mut self, count: usize) -> Self {
        self.max_informational = count;
        self
    }

    /// Sets [`max_control_frames`](Self::max_control_frames).
    #[must_use]
    pub fn with_max_control_frames(mut self, count: u32) -> Self {
        self.max_control_frames = count;
        self
    }

    /// Sets [`split_cookies`](Self::split_cookies).
    #[must_use]
    pub fn with_split_cookies(mut self, split: bool) -> Self {
        self.split_cookies = split;
        self
    }

    /// Sets [`shutdown`](Self::shutdown).
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = Some(shutdown);
        self
    }
}

/// How many streams that were given up are remembered for a second.
const MAX_RESET: usize = 1024;

/// The largest window of flow control (RFC 9113 section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

impl Http2ClientConfig {
    /// What h2 has to know of it.
    pub(super) fn builder(&self) -> h2::client::Builder {
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(self.stream_window.min(MAX_WINDOW))
            .initial_connection_window_size(self.connection_window.min(MAX_WINDOW))
            .max_header_list_size(self.max_header_list)
            .initial_max_send_streams(self.initial_streams)
            // What is still on its way for a stream that was given up is passed over, and not taken for a fault of the peer.
            .max_concurrent_reset_streams(MAX_RESET);
        builder
    }

    /// What PINGs are for.
    pub(super) fn pings(&self) -> PingConfig {
        PingConfig {
            interval: self.keep_alive_interval,
            timeout: self.keep_alive_timeout,
            while_idle: self.keep_alive_while_idle,
            window: self.stream_window.min(MAX_WINDOW),
            // Some that are not read must not keep all others from coming.
            max_window: self.max_window.min(self.connection_window / 4).min(MAX_WINDOW),
        }
    }
}
