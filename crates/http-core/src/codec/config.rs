//! Limits of the decoders.

/// The default of [`HeadConfig::max_head_bytes`]: 64 KiB.
pub const DEFAULT_MAX_HEAD_BYTES: usize = 64 * 1024;
/// The default of [`HeadConfig::max_headers`].
pub const DEFAULT_MAX_HEADERS: usize = 100;
/// The default of [`HeadConfig::max_uri_bytes`]: 16 KiB.
pub const DEFAULT_MAX_URI_BYTES: usize = 16 * 1024;
/// The default of [`BodyConfig::max_chunk_extension_bytes`].
pub const DEFAULT_MAX_CHUNK_EXTENSION_BYTES: u32 = 1024;
/// The default of [`BodyConfig::max_extension_bytes`]: 16 KiB.
pub const DEFAULT_MAX_EXTENSION_BYTES: u32 = 16 * 1024;
/// The default of [`BodyConfig::max_trailer_bytes`]: 16 KiB.
pub const DEFAULT_MAX_TRAILER_BYTES: usize = 16 * 1024;
/// The default of [`BodyConfig::max_trailers`].
pub const DEFAULT_MAX_TRAILERS: usize = 100;

/// What a head decoder accepts. Strict unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeadConfig {
    /// The most bytes a head may take, from the first of its start line to the
    /// empty line that ends it, that line included.
    ///
    /// Default: [`DEFAULT_MAX_HEAD_BYTES`]. A request beyond it is answered
    /// with 431.
    pub max_head_bytes: usize,
    /// The most field lines a head may have.
    ///
    /// Default: [`DEFAULT_MAX_HEADERS`]. A request beyond it is answered with
    /// 431. `HeaderMap` itself ends at about 24,000.
    pub max_headers: usize,
    /// The most bytes a request target may take.
    ///
    /// Default: [`DEFAULT_MAX_URI_BYTES`]. A request beyond it is answered
    /// with 414. `http::Uri` itself ends at 65,534.
    pub max_uri_bytes: usize,
    /// Accept two framings that RFC 9112 section 6.3 lets a recipient repair,
    /// for a peer that is known to send them. Default: `false`, because each
    /// is a way to smuggle requests.
    ///
    /// - `transfer-encoding: chunked` together with `content-length`: chunked
    ///   wins, the length is removed from the headers and the message says
    ///   `keep_alive = false`.
    /// - `content-length` repeated with one and the same value, as lines or as
    ///   a list: it is read as one.
    pub lenient_framing: bool,
    /// Record the order, the case and the spacing of the fields, as a
    /// [`HeaderLayout`](super::HeaderLayout).
    ///
    /// Default: `false`. On or off, the same heads are accepted.
    pub header_layout: bool,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            max_head_bytes: DEFAULT_MAX_HEAD_BYTES,
            max_headers: DEFAULT_MAX_HEADERS,
            max_uri_bytes: DEFAULT_MAX_URI_BYTES,
            lenient_framing: false,
            header_layout: false,
        }
    }
}

impl HeadConfig {
    /// Sets [`max_head_bytes`](Self::max_head_bytes).
    #[must_use]
    pub fn with_max_head_bytes(mut self, bytes: usize) -> Self {
        self.max_head_bytes = bytes;
        self
    }

    /// Sets [`max_headers`](Self::max_headers).
    #[must_use]
    pub fn with_max_headers(mut self, count: usize) -> Self {
        self.max_headers = count;
        self
    }

    /// Sets [`max_uri_bytes`](Self::max_uri_bytes).
    #[must_use]
    pub fn with_max_uri_bytes(mut self, bytes: usize) -> Self {
        self.max_uri_bytes = bytes;
        self
    }

    /// Sets [`lenient_framing`](Self::lenient_framing).
    #[must_use]
    pub fn with_lenient_framing(mut self, lenient: bool) -> Self {
        self.lenient_framing = lenient;
        self
    }

    /// Sets [`header_layout`](Self::header_layout).
    #[must_use]
    pub fn with_header_layout(mut self, record: bool) -> Self {
        self.header_layout = record;
        self
    }
}

/// What a [`BodyDecoder`](super::BodyDecoder) accepts besides the data itself,
/// which is the caller's to limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyConfig {
    /// The most bytes of extensions on one chunk. Extensions are discarded.
    ///
    /// Default: [`DEFAULT_MAX_CHUNK_EXTENSION_BYTES`].
    pub max_chunk_extension_bytes: u32,
    /// The most bytes of extensions on all chunks of one body together, so
    /// that one-byte chunks cannot carry an endless stream beside the data.
    ///
    /// Default: [`DEFAULT_MAX_EXTENSION_BYTES`].
    pub max_extension_bytes: u32,
    /// The most bytes of the trailer section, its closing empty line included.
    ///
    /// Default: [`DEFAULT_MAX_TRAILER_BYTES`].
    pub max_trailer_bytes: usize,
    /// The most field lines of the trailer section.
    ///
    /// Default: [`DEFAULT_MAX_TRAILERS`].
    pub max_trailers: usize,
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self {
            max_chunk_extension_bytes: DEFAULT_MAX_CHUNK_EXTENSION_BYTES,
            max_extension_bytes: DEFAULT_MAX_EXTENSION_BYTES,
            max_trailer_bytes: DEFAULT_MAX_TRAILER_BYTES,
            max_trailers: DEFAULT_MAX_TRAILERS,
        }
    }
}

impl BodyConfig {
    /// Sets [`max_chunk_extension_bytes`](Self::max_chunk_extension_bytes).
    #[must_use]
    pub fn with_max_chunk_extension_bytes(mut self, bytes: u32) -> Self {
        self.max_chunk_extension_bytes = bytes;
        self
    }

    /// Sets [`max_extension_bytes`](Self::max_extension_bytes).
    #[must_use]
    pub fn with_max_extension_bytes(mut self, bytes: u32) -> Self {
        self.max_extension_bytes = bytes;
        self
    }

    /// Sets [`max_trailer_bytes`](Self::max_trailer_bytes).
    #[must_use]
    pub fn with_max_trailer_bytes(mut self, bytes: usize) -> Self {
        self.max_trailer_bytes = bytes;
        self
    }

    /// Sets [`max_trailers`](Self::max_trailers).
    #[must_use]
    pub fn with_max_trailers(mut self, count: usize) -> Self {
        self.max_trailers = count;
        self
    }
}
