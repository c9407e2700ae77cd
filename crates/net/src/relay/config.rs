use std::time::Duration;

use chaski_core::Description;

use super::buffer::Size;

/// The limits of a [`Relay`](super::Relay). `None` switches a limit off.
///
/// ```
/// use chaski_net::RelayConfig;
/// use std::time::Duration;
///
/// let config = RelayConfig::default().with_first_byte(Duration::from_secs(10)).with_idle(None);
/// assert_eq!(config.first_byte, Some(Duration::from_secs(10)));
/// assert_eq!(config.idle, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayConfig {
    /// How long the dialed side may stay without having sent its first byte, counted from the start of the relay. It no longer
    /// holds once that side has sent a byte or ended its stream.
    ///
    /// Default: none, because a client may open a tunnel ahead of time and let the server wait for its first words.
    pub first_byte: Option<Duration>,

    /// How long the relay may stay without a byte read or written in either direction.
    ///
    /// Default: [`DEFAULT_IDLE`](Self::DEFAULT_IDLE).
    pub idle: Option<Duration>,

    /// The same as [`idle`](Self::idle), but once one direction has ended or failed: how long the rest may stay without a byte
    /// moved. It bounds a peer that stays silent after the other one's FIN, or that takes no more bytes. A long answer that
    /// goes on moving is not cut. Where `idle` is shorter, that holds.
    ///
    /// Default: [`DEFAULT_DRAIN`](Self::DEFAULT_DRAIN).
    pub drain: Option<Duration>,

    /// How long to wait for the shutdown of a write half when nothing else is left to do: a TLS peer that does not read can
    /// hold up the closing alert. While the other direction still moves bytes, a slow shutdown is waited for beside it.
    ///
    /// Default: [`DEFAULT_SHUTDOWN`](Self::DEFAULT_SHUTDOWN).
    pub shutdown: Option<Duration>,

    /// The largest buffer of one direction in bytes, rounded down to 256, 64 or 8 KiB, which is the least. A direction begins
    /// with 8 KiB and takes the next size after a read that filled its buffer.
    ///
    /// Default: [`DEFAULT_MAX_BUFFER`](Self::DEFAULT_MAX_BUFFER).
    pub max_buffer: usize,

    /// Whether bulk may be moved in the kernel, by `splice(2)`, instead of being copied: on Linux, between two
    /// [plain sockets](chaski_core::Io::plain_socket), in each direction after its first 64 KiB and as long as the reader has 16 KiB
    /// and more at a time. It costs less than half of the copying, and changes nothing else.
    ///
    /// It is not done where the signal `SIGPIPE` would end the process, which a splice to a closed socket raises and no
    /// other write does. Rust programs ignore that signal unless they have its default set back.
    ///
    /// Default: yes.
    pub splice: bool,
}

impl RelayConfig {
    /// One hour: as long as proxies let a silent tunnel live, and longer than most applications' own keep-alives.
    pub const DEFAULT_IDLE: Duration = Duration::from_secs(60 * 60);

    /// One minute: long enough for a late answer to a request that ended with a FIN.
    pub const DEFAULT_DRAIN: Duration = Duration::from_secs(60);

    /// Five seconds: some round trips, for what is a formality.
    pub const DEFAULT_SHUTDOWN: Duration = Duration::from_secs(5);

    /// 256 KiB: with less, system calls cost more than the copying; with more nothing is gained.
    pub const DEFAULT_MAX_BUFFER: usize = 256 * 1024;

    /// Sets [`first_byte`](Self::first_byte).
    #[must_use]
    pub fn with_first_byte(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.first_byte = limit.into();
        self
    }

    /// Sets [`idle`](Self::idle).
    #[must_use]
    pub fn with_idle(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle = limit.into();
        self
    }

    /// Sets [`drain`](Self::drain).
    #[must_use]
    pub fn with_drain(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.drain = limit.into();
        self
    }

    /// Sets [`shutdown`](Self::shutdown).
    #[must_use]
    pub fn with_shutdown(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.shutdown = limit.into();
        self
    }

    /// Sets [`max_buffer`](Self::max_buffer).
    #[must_use]
    pub const fn with_max_buffer(mut self, bytes: usize) -> Self {
        self.max_buffer = bytes;
        self
    }

    /// Sets [`splice`](Self::splice).
    #[must_use]
    pub const fn with_splice(mut self, splice: bool) -> Self {
        self.splice = splice;
        self
    }

    pub(super) fn describe(&self, node: Description) -> Description {
        let limit = |limit: Option<Duration>| limit.map_or_else(|| "none".to_owned(), |limit| format!("{limit:?}"));
        node.setting("first-byte", limit(self.first_byte))
            .setting("idle", limit(self.idle))
            .setting("drain", limit(self.drain))
            .setting("shutdown", limit(self.shutdown))
            .setting("max-buffer", Size::at_most(self.max_buffer).bytes())
            .setting("splice", self.splice)
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            first_byte: None,
            idle: Some(Self::DEFAULT_IDLE),
            drain: Some(Self::DEFAULT_DRAIN),
            shutdown: Some(Self::DEFAULT_SHUTDOWN),
            max_buffer: Self::DEFAULT_MAX_BUFFER,
            splice: true,
        }
    }
}
