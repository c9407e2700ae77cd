//! How the fields of a head stood on the wire.

use std::fmt;

use bytes::Bytes;
use http::HeaderName;
use http::header::InvalidHeaderName;
use memchr::memchr;

use super::fields::{leading_space, trailing_space};

/// The order, the case and the spacing of a head's fields on the wire.
///
/// A `HeaderMap` keeps the values of one name in order, and that is all that a
/// recipient may go by (RFC 9110 section 5.3). Some look at more all the same,
/// and some want to: an inspector, who sees by the order of the fields which
/// program has sent them; a proxy that must not be seen; a client that takes
/// after another. For them the decoders record a layout, if asked
/// ([`HeadConfig::header_layout`](super::HeadConfig::header_layout)), and the encoders honour one.
///
/// The engines hand it on as a fact in the message's scope: found with
/// `request.fact::<HeaderLayout>()` by a service, and honoured where the message
/// is sent. So a proxy whose server and client record keeps the layout of
/// requests and of responses, each on its way. Inserted by a client, it decides
/// how its request looks:
///
/// ```
/// use chaski_core::http::{Body, Message as _, Request};
/// use chaski_http_core::codec::HeaderLayout;
///
/// let mut request = Request::get("http://example.com/").header("accept", "*/*").body(Body::empty())?;
/// let layout = HeaderLayout::from_names(["Accept", "Host", "X-Absent"])?;
/// request.scope().insert(layout);
/// // On the wire: `Accept: */*`, then `Host: example.com`.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What an encoder does with it
///
/// It writes the head as it always does, from the parsed model, then puts the
/// lines into the places and writes the names in the case of the layout. No
/// line appears, disappears or changes its value by it, so it cannot change
/// what a head means, wherever it came from:
///
/// - A field that the layout does not have comes behind those that it has, in
///   lower case, but `host`, which comes first (RFC 9110 section 7.2).
/// - A field of the layout that the message no longer has is left out.
/// - Of a name with several values, the first stands where the layout has the
///   name first, and so on.
/// - White space around a value is written as it came.
/// - Framing stays the encoder's: the values of Content-Length, Transfer-Encoding
///   and Connection are what the encoder says.
///
/// And two things more, which change bytes and no meaning: where the layout has
/// Connection, `keep-alive` that the message says is written in HTTP/1.1 too, where it goes
/// without saying; and a response whose status is the recorded one has the recorded
/// reason phrase.
///
/// A head that was read and is written again is the same byte for byte, but
/// for these: the fields of the hop and their values (Connection,
/// Content-Length, Transfer-Encoding); the white space around the values of the fields
/// that this codec acts on (those three, Host, Upgrade, TE and Expect), which is
/// one space before and none behind, as recipients differ in what they take for
/// the value there; the target and the version; an absent
/// reason phrase without the space before it. Trailers, informational
/// responses and the extensions of chunks are not recorded.
///
/// # Cost
///
/// A recorded layout is a handle to the bytes of the head, which the values of
/// the fields hold in memory anyway; nothing is copied, but for a message after
/// which the connection may be a tunnel. To honour one takes some allocations,
/// and time that grows with the number of fields and its logarithm. Its size is
/// limited by [`HeadConfig`](super::HeadConfig).
#[derive(Clone)]
pub struct HeaderLayout {
    /// A head as it came, or one that was made of names: a start line, which may be empty, field lines, an empty line. It
    /// is one handle so that it fits where a scope keeps its first facts.
    head: Bytes,
}

impl HeaderLayout {
    /// The layout of a head that was read.
    pub(super) fn of(head: &Bytes) -> Self {
        Self { head: head.clone() }
    }

    /// The same in memory of its own, for a scope that lasts longer than its message: a tunnel is not to hold the
    /// buffer from which the head was read.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self { head: Bytes::copy_from_slice(&self.head) }
    }

    /// A layout with these names, in this order and case; a name may stand
    /// there several times. Without any, a message is sent as if it had no
    /// layout, which hides one that was recorded.
    ///
    /// # Errors
    ///
    /// One of them is not the name of a field.
    pub fn from_names<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Self, InvalidHeaderName> {
        let mut head = b"\r\n".to_vec();
        for name in names {
            let name = name.as_ref().as_bytes();
            HeaderName::from_bytes(name)?;
            head.extend_from_slice(name);
            head.extend_from_slice(b": \r\n");
        }
        head.extend_from_slice(b"\r\n");
        Ok(Self { head: head.into() })
    }

    /// The names, in the order and the case of the wire, once for every line.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        // A name is a token, which is ASCII.
        self.lines().map(|line| str::from_utf8(line.name).unwrap_or_default())
    }

    /// The reason phrase of a response, as it came: it may be empty, and may
    /// have bytes over 0x7f. `None` for a request, and for a layout that was
    /// made of names.
    #[must_use]
    pub fn reason(&self) -> Option<&[u8]> {
        let (_, reason) = self.status()?;
        Some(reason)
    }

    /// The code and the phrase of a status line.
    pub(super) fn status(&self) -> Option<(&[u8], &[u8])> {
        // `HTTP/1.1 200 OK`; a method has no slash.
        let (line, _) = split_line(&self.head)?;
        let rest = line.strip_prefix(b"HTTP/")?.get(4..)?;
        let (code, reason) = rest.split_at_checked(3)?;
        Some((code, reason.strip_prefix(b" ").unwrap_or(reason)))
    }

    /// The field lines.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut rest = split_line(&self.head).map_or(&[][..], |(_, rest)| rest);
        std::iter::from_fn(move || {
            let (line, behind) = split_line(rest)?;
            rest = behind;
            let colon = memchr(b':', line)?;
            let (name, value) = (&line[..colon], &line[colon + 1..]);
            let (before, value) = value.split_at(leading_space(value));
            let after = &value[value.len() - trailing_space(value)..];
            Some(Line { name, before, after })
        })
    }
}

/// A field line but for its value.
pub(super) struct Line<'a> {
    /// In the case it came in.
    pub(super) name: &'a [u8],
    /// The white space before the value.
    pub(super) before: &'a [u8],
    /// The white space behind the value.
    pub(super) after: &'a [u8],
}

/// The first line without its CRLF, and what follows.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let lf = memchr(b'\n', bytes)?;
    Some((&bytes[..lf.checked_sub(1)?], &bytes[lf + 1..]))
}

/// The names alone: there may be credentials among the values.
impl fmt::Debug for HeaderLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderLayout")?;
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests;
