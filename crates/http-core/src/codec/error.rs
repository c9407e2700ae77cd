//! What can be wrong with a message: who sent it wrong, where, and what to
//! answer.

use http::StatusCode;
use thiserror::Error;

/// A head that was refused. The connection it came on cannot be read further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{fault} (at byte {offset} of the head)")]
#[non_exhaustive]
pub struct HeadError {
    /// What is wrong.
    pub fault: HeadFault,
    /// Where, counted in bytes from the first of the start line. For faults of
    /// a whole line or value this is where it begins.
    pub offset: usize,
}

impl HeadError {
    #[cold]
    pub(super) fn new(fault: HeadFault, offset: usize) -> Self {
        Self { fault, offset }
    }

    /// The status a server answers with before it closes the connection: 400,
    /// 414, 431, 501 or 505.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.fault.status()
    }
}

/// The fault of a [`HeadError`]. All but the limits are the peer's.
///
/// Bytes are shown with control characters escaped, so a text made of this can
/// go into a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeadFault {
    /// The head is longer than [`HeadConfig::max_head_bytes`](super::HeadConfig::max_head_bytes).
    #[error("the head is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// More field lines than [`HeadConfig::max_headers`](super::HeadConfig::max_headers).
    #[error("more than {limit} field lines")]
    TooManyHeaders {
        /// The limit in lines.
        limit: usize,
    },
    /// The target is longer than [`HeadConfig::max_uri_bytes`](super::HeadConfig::max_uri_bytes).
    #[error("the request target is longer than {limit} bytes")]
    UriTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A line ends with LF alone.
    #[error("a line that ends without CR")]
    BareLf,
    /// A CR that no LF follows.
    #[error("a CR without LF")]
    BareCr,
    /// More than the one empty line that is tolerated before a request, or any
    /// before a response.
    #[error("an empty line before the start line")]
    LeadingEmptyLine,
    /// Not `method SP target SP version`.
    #[error("malformed request line")]
    RequestLine,
    /// Not `version SP status [SP reason]`.
    #[error("malformed status line")]
    StatusLine,
    /// The method has a byte that no token has.
    #[error("'{}' in the method", .byte.escape_ascii())]
    Method {
        /// The byte.
        byte: u8,
    },
    /// The method is longer than any that is in use.
    #[error("the method is longer than {limit} bytes")]
    MethodTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The target is no URI reference, or has a fragment.
    #[error("invalid request target")]
    Target,
    /// The form of the target does not go with the method (RFC 9112 section
    /// 3.2): authority-form with CONNECT and only there, `*` with OPTIONS only.
    #[error("this form of request target does not go with the method")]
    TargetForm,
    /// An HTTP version other than 1.0 and 1.1.
    #[error("HTTP version other than 1.0 and 1.1")]
    Version,
    /// A field name has a byte that no token has, or is empty.
    #[error("'{}' in a field name", .byte.escape_ascii())]
    HeaderName {
        /// The byte; `:` for an empty name.
        byte: u8,
    },
    /// A field name longer than `http::HeaderName` can be (64 KiB).
    #[error("a field name that is too long")]
    HeaderNameTooLong,
    /// A field value has a control character.
    #[error("'{}' in a field value", .byte.escape_ascii())]
    HeaderValue {
        /// The byte.
        byte: u8,
    },
    /// A field line without a colon.
    #[error("a field line without a colon")]
    MissingColon,
    /// White space between a field's name and its colon (RFC 9112 section 5.1).
    #[error("white space before the colon of a field line")]
    SpaceBeforeColon,
    /// White space before the first field (RFC 9112 section 2.2).
    #[error("white space before the first field line")]
    SpaceBeforeHeaders,
    /// A field value continued on the next line (RFC 9112 section 5.2).
    #[error("obsolete line folding")]
    ObsFold,
    /// An HTTP/1.1 request without Host (RFC 9112 section 3.2).
    #[error("no Host")]
    MissingHost,
    /// More than one Host (RFC 9112 section 3.2).
    #[error("more than one Host")]
    RepeatedHost,
    /// Host is not `uri-host [":" port]`.
    #[error("invalid Host")]
    InvalidHost,
    /// Content-Length is not a decimal number that fits into 64 bits.
    #[error("invalid Content-Length")]
    ContentLength,
    /// More than one Content-Length.
    #[error("more than one Content-Length")]
    RepeatedContentLength,
    /// Content-Length together with Transfer-Encoding (RFC 9112 section 6.1).
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndTransferEncoding,
    /// Transfer-Encoding does not end with exactly one `chunked`, so that the
    /// body's length cannot be told (RFC 9112 section 6.3).
    #[error("Transfer-Encoding that is not chunked, once and last")]
    TransferEncoding,
    /// A transfer coding before `chunked`. None is supported.
    #[error("unsupported transfer coding")]
    UnsupportedTransferCoding,
    /// Transfer-Encoding in HTTP/1.0, whose framing it cannot be (RFC 9112
    /// section 6.1).
    #[error("Transfer-Encoding in HTTP/1.0")]
    TransferEncodingInHttp10,
}

impl HeadFault {
    /// The status a server answers with: 400, 414, 431, 501 or 505.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } | Self::TooManyHeaders { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::UriTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::MethodTooLong { .. } | Self::UnsupportedTransferCoding => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// A body that was refused or that ended early. The connection it came on
/// cannot be read further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A chunk size is not followed by what may follow it, or has no digit.
    #[error("'{}' in a chunk size", .byte.escape_ascii())]
    ChunkSize {
        /// The byte that was found.
        byte: u8,
    },
    /// A chunk size has more than 16 hex digits.
    #[error("a chunk size of more than 16 digits")]
    ChunkSizeTooLong,
    /// A control character in a chunk extension.
    #[error("'{}' in a chunk extension", .byte.escape_ascii())]
    ChunkExtension {
        /// The byte that was found.
        byte: u8,
    },
    /// Chunk extensions are longer than
    /// [`BodyConfig`](super::BodyConfig) allows.
    #[error("more than {limit} bytes of chunk extensions")]
    ChunkExtensionTooLong {
        /// The limit in bytes.
        limit: u32,
    },
    /// The data of a chunk is not followed by CRLF.
    #[error("'{}' where a chunk ends", .byte.escape_ascii())]
    ChunkEnd {
        /// The byte that was found.
        byte: u8,
    },
    /// The trailer section was refused.
    #[error("invalid trailer section")]
    Trailers(#[source] HeadError),
    /// The connection ended before the body did.
    #[error("the body was cut short")]
    Truncated {
        /// How many bytes are missing, where the body's length is known.
        missing: Option<u64>,
    },
}

impl BodyError {
    /// The status a server answers with where it still can: 431 for trailers
    /// over their limit, else 400.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Trailers(error) => error.status(),
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// A head that cannot be sent as the caller asks. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The caller's Content-Length is not the length of the body.
    #[error("Content-Length says {declared}, the body has {actual} bytes")]
    LengthMismatch {
        /// What the header says.
        declared: u64,
        /// What the body has.
        actual: u64,
    },
    /// The caller's Content-Length is not one decimal number.
    #[error("invalid Content-Length")]
    ContentLength,
    /// An HTTP/1.0 request whose body has no known length: there is no way to
    /// mark its end.
    #[error("an HTTP/1.0 request needs a body of known length")]
    LengthRequired,
    /// The method allows no content (CONNECT and TRACE).
    #[error("a request with this method has no body")]
    BodyNotAllowed,
    /// The URI lacks what the asked form of target needs.
    #[error("the URI lacks what this form of request target needs")]
    Target,
    /// More than one Host, or none and a URI without an authority to make it
    /// from.
    #[error("no Host, or more than one")]
    Host,
    /// A version that this codec does not speak.
    #[error("HTTP version other than 1.0 and 1.1")]
    Version,
    /// A status that ends no exchange and cannot be sent as planned, such as
    /// 101 to an HTTP/1.0 peer.
    #[error("this status cannot be sent to an HTTP/1.0 peer")]
    Status,
}
