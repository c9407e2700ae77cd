//! How a client opens its connection: a fact, told from the first frames that it sends.
//!
//! ```text
//! bytes -> FingerprintReader -> Http2Fingerprint      reader.rs, hpack.rs: no IO
//! Conn<IO> -> FingerprintTap -> the same, as a fact   tap.rs
//! ```

mod hpack;
mod reader;
mod tap;
#[cfg(test)]
mod tests;

pub use reader::{FingerprintReader, Reading};
pub use tap::FingerprintTap;

use std::fmt;

use md5::{Digest, Md5};

/// How a client opened its HTTP/2 connection: its settings, its window, its priorities and the order of its pseudo-header
/// fields. Each implementation has a way of its own, whatever its `user-agent` says.
///
/// A fact of the connection, there from the first request on, when the connection was [tapped](FingerprintTap).
///
/// `Display` writes the form that was published by Akamai ("Passive Fingerprinting of HTTP/2 Clients", Shuster, 2017) and that
/// services and lists use, [`akamai_hash`](Self::akamai_hash) gives its MD5:
///
/// ```text
/// 1:65536;2:0;4:6291456;6:262144|15663105|0|m,a,s,p
/// settings in order             |window  |priority frames (stream:exclusive:parent:weight,..)|pseudo-header fields
/// ```
///
/// A client says of itself what it likes: this tells programs apart that do not lie, and lies that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Http2Fingerprint {
    settings: Box<[(u16, u32)]>,
    window_update: Option<u32>,
    priorities: Box<[StreamPriority]>,
    request_priority: Option<StreamPriority>,
    pseudo_headers: Box<[PseudoHeader]>,
}

/// A pseudo-header field of a request (RFC 9113 section 8.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PseudoHeader {
    /// `:method`
    Method,
    /// `:scheme`
    Scheme,
    /// `:authority`
    Authority,
    /// `:path`
    Path,
    /// `:protocol`, of an extended CONNECT (RFC 8441 section 4).
    Protocol,
}

/// The priority of a stream as RFC 7540 section 5.3 had it. RFC 9113 gave it up; clients still send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamPriority {
    /// The stream.
    pub stream: u32,
    /// Whether it is to be its parent's only child.
    pub exclusive: bool,
    /// The stream that it depends on, 0 for none.
    pub parent: u32,
    /// Its weight, 1 to 256.
    pub weight: u16,
}

impl Http2Fingerprint {
    /// The identifiers and values of the first SETTINGS frame, in order, unknown ones too.
    #[must_use]
    pub fn settings(&self) -> &[(u16, u32)] {
        &self.settings
    }

    /// By how much the connection's window was enlarged ahead of the first request; `None` when it was not.
    #[must_use]
    pub fn window_update(&self) -> Option<u32> {
        self.window_update
    }

    /// The PRIORITY frames ahead of the first request, in order.
    #[must_use]
    pub fn priorities(&self) -> &[StreamPriority] {
        &self.priorities
    }

    /// The priority in the first request's own HEADERS frame. It is no part of the published form.
    #[must_use]
    pub fn request_priority(&self) -> Option<StreamPriority> {
        self.request_priority
    }

    /// The pseudo-header fields of the first request, in order.
    #[must_use]
    pub fn pseudo_headers(&self) -> &[PseudoHeader] {
        &self.pseudo_headers
    }

    /// The MD5 of the published form, in lower-case hexadecimal digits, as lists have it. It stands for the text and protects
    /// nothing.
    #[must_use]
    pub fn akamai_hash(&self) -> String {
        use fmt::Write as _;
        let mut hex = String::with_capacity(32);
        for byte in Md5::digest(self.to_string()) {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

impl fmt::Display for Http2Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (id, value)) in self.settings.iter().enumerate() {
            let separator = if number == 0 { "" } else { ";" };
            write!(f, "{separator}{id}:{value}")?;
        }
        match self.window_update {
            Some(increment) => write!(f, "|{increment}|")?,
            None => f.write_str("|00|")?,
        }
        if self.priorities.is_empty() {
            f.write_str("0")?;
        }
        for (number, priority) in self.priorities.iter().enumerate() {
            let separator = if number == 0 { "" } else { "," };
            let StreamPriority { stream, exclusive, parent, weight } = *priority;
            write!(f, "{separator}{stream}:{}:{parent}:{weight}", u8::from(exclusive))?;
        }
        f.write_str("|")?;
        // The published form has no letter for `:protocol`, which came after it.
        let letters = self.pseudo_headers.iter().filter_map(|field| match field {
            PseudoHeader::Method => Some('m'),
            PseudoHeader::Scheme => Some('s'),
            PseudoHeader::Authority => Some('a'),
            PseudoHeader::Path => Some('p'),
            PseudoHeader::Protocol => None,
        });
        for (number, letter) in letters.enumerate() {
            let separator = if number == 0 { "" } else { "," };
            write!(f, "{separator}{letter}")?;
        }
        Ok(())
    }
}
