use std::time::Duration;

use crate::engine::PingConfig;

/// Limits of an [`Http2Server`](super::Http2Server). Every wait and every buffer has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http2ServerConfig {
    /// How many streams a client may have open at a time. One more is refused with `REFUSED_STREAM`. Default: 100.
    pub max_streams: u32,
    /// How large the fields of a request may be together, names, values and 32 bytes for each (RFC 9113 section 6.5.2).
    /// Beyond it a request is answered with 431, beyond four times as much the connection is closed. Default: 64 KiB.
    pub max_header_list: u32,
    /// How much a client may send on one stream ahead of its reader, to begin with. Default: 256 KiB; at most 2^31 - 1.
    pub stream_window: u32,
    /// How much a client may send on all streams ahead of their readers, to begin with. Default: 1 MiB; at most 2^31 - 1.
    pub connection_window: u32,
    /// How far either window may grow for a client that is far away: what a connection holds of unread bodies at most. Windows
    /// grow while uploads fill them in one round trip, as PING measures it, and round trips do not get longer for it; not
    /// for clients that send PINGs themselves, since two that measure at once may wait for each other. Not
    /// above [`stream_window`](Self::stream_window), they stay as they are. Default: 4 MiB; at most 2^31 - 1.
    pub max_window: u32,
    /// How much of an answer may wait to be written, for each stream. Default: 1 MiB.
    pub send_buffer: usize,
    /// How much of all streamed answers may wait to be written. Answers in hand do not count: their memory is the service's.
    /// Default: 1 MiB.
    pub max_unsent: usize,
    /// How many streams a client may reset, or have reset for being malformed, before they are answered, in 10 seconds. One
    /// that is answered makes up for one that was not. Beyond it the connection is closed with `ENHANCE_YOUR_CALM`.
    /// Default: 200.
    pub max_resets: u32,
    /// How many frames a client may send in 10 seconds that no message accounts for: PING, SETTINGS, PRIORITY, WINDOW_UPDATE,
    /// DATA without any, unknown ones. Each frame of a request makes up for one of them, each of an answer for two, and for
    /// one more with each KiB of its data. Beyond it the connection is closed with `ENHANCE_YOUR_CALM`. Default: 1000.
    pub max_control_frames: u32,
    /// Whether extended CONNECT (RFC 8441) is offered: requests for WebSocket and the like on a stream, with a
    /// [`ConnectProtocol`](crate::ConnectProtocol) as a fact. Default: `false`.
    pub extended_connect: bool,
    /// How long the connection preface may take, from the accept on. Default: 30 seconds; `None` waits for ever.
    pub preface_timeout: Option<Duration>,
    /// How long a connection may be without a stream. Default: 2 minutes; `None` waits for ever.
    pub idle_timeout: Option<Duration>,
    /// How long a read of a request's body may wait for the next byte. Default: 60 seconds; `None` waits for ever.
    pub body_timeout: Option<Duration>,
    /// How long a write may make no progress because the client does not read: its socket, or the window of one stream, which
    /// is reset then. Default: 60 seconds; `None` waits for ever.
    pub write_timeout: Option<Duration>,
    /// After how long a silence a client with open streams is sent a PING, to notice one that has vanished. Default: `None`,
    /// never; TCP's own keep-alive may do.
    pub keep_alive_interval: Option<Duration>,
    /// How long the answer to that PING, or any other byte, may take. Then the connection is cut. Default: 20 seconds.
    pub keep_alive_timeout: Duration,
    /// Whether clients without open streams are sent PINGs too. Default: `false`.
    pub keep_alive_while_idle: bool,
    /// How long a connection that closes goes on reading, until the client closes too: a client that is still sending gets
    /// the last frames before the reset. Default: 2 seconds.
    pub linger: Duration,
}

impl Default for Http2ServerConfig {
    fn default() -> Self {
        Self {
            max_streams: 100,
            max_header_list: 64 * 1024,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            max_window: 4 * 1024 * 1024,
            send_buffer: 1024 * 1024,
            max_unsent: 1024 * 1024,
            max_resets: 200,
            max_control_frames: 1000,
            extended_connect: false,
            preface_timeout: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(120)),
            body_timeout: Some(Duration::from_secs(60)),
            write_timeout: Some(Duration::from_secs(60)),
            keep_alive_interval: None,
            keep_alive_timeout: Duration::from_secs(20),
            keep_alive_while_idle: false,
            linger: Duration::from_secs(2),
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

impl Http2ServerConfig {
    with! {
        with_max_streams max_streams: u32;
        with_max_header_list max_header_list: u32;
        with_stream_window stream_window: u32;
        with_connection_window connection_window: u32;
        with_max_window max_window: u32;
        with_send_buffer send_buffer: usize;
        with_max_unsent max_unsent: usize;
        with_max_resets max_resets: u32;
        with_max_control_frames max_control_frames: u32;
        with_extended_connect extended_connect: bool;
        with_preface_timeout preface_timeout: Option<Duration>;
        with_idle_timeout idle_timeout: Option<Duration>;
        with_body_timeout body_timeout: Option<Duration>;
        with_write_timeout write_timeout: Option<Duration>;
        with_keep_alive_interval keep_alive_interval: Option<Duration>;
        with_keep_alive_timeout keep_alive_timeout: Duration;
        with_keep_alive_while_idle keep_alive_while_idle: bool;
        with_linger linger: Duration;
    }

    /// Sets one limit for all in which a client can be slow: [`preface_timeout`](Self::preface_timeout),
    /// [`body_timeout`](Self::body_timeout) and [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub fn with_client_timeout(self, limit: Duration) -> Self {
        self.with_preface_timeout(Some(limit)).with_body_timeout(Some(limit)).with_write_timeout(Some(limit))
    }
}

/// The largest window of flow control (RFC 9113 section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;

impl Http2ServerConfig {
    /// What h2 has to know of it.
    pub(super) fn builder(&self) -> h2::server::Builder {
        let mut builder = h2::server::Builder::new();
        builder
            .max_concurrent_streams(self.max_streams)
            .max_header_list_size(self.max_header_list)
            .initial_window_size(self.stream_window.min(MAX_WINDOW))
            .initial_connection_window_size(self.connection_window.min(MAX_WINDOW))
            // Of those that are reset before they were taken in, which the budget counts when they are.
            .max_pending_accept_reset_streams(self.max_resets as usize)
            .max_send_buffer_size(self.send_buffer.min(MAX_WINDOW as usize));
        if self.extended_connect {
            builder.enable_connect_protocol();
        }
        builder
    }

    /// What PINGs are for.
    pub(super) fn pings(&self) -> PingConfig {
        PingConfig {
            interval: self.keep_alive_interval,
            timeout: self.keep_alive_timeout,
            while_idle: self.keep_alive_while_idle,
            window: self.stream_window.min(MAX_WINDOW),
            max_window: self.max_window.min(MAX_WINDOW),
        }
    }
}
