use std::fmt;

use http::{HeaderMap, HeaderName};

/// Which trace a request belongs to, as its client says in the field `traceparent` of
/// [W3C Trace Context](https://www.w3.org/TR/trace-context/): a fact that [`AccessLogLayer`](crate::AccessLogLayer) adds to
/// the scope of a request whose field is valid.
///
/// Nothing here makes one or changes one: the field is passed on as it came, valid or not. It is what a client says, and
/// proves nothing of who it is.
///
/// ```
/// use chaski_telemetry::TraceContext;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: TraceContext = text.parse()?;
/// assert_eq!(context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert!(context.is_sampled());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    version: u8,
    trace_id: TraceId,
    parent_id: ParentId,
    flags: u8,
}

/// The id of a trace; never all zero. Prints as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of the span that a request comes from; never all zero. Prints as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ParentId([u8; 8]);

/// The field's name (section 3.2).
pub(crate) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl TraceContext {
    /// What the one `traceparent` of these fields says. `None` when there is none, or it is invalid.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(&TRACEPARENT).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        value.to_str().ok()?.parse().ok()
    }

    /// The version of the format. Of one that is higher than 0 what version 0 defines is known.
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.version
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// The span of the caller.
    #[must_use]
    pub const fn parent_id(&self) -> ParentId {
        self.parent_id
    }

    /// The flags, those that have no meaning yet included.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the caller may have recorded its part of the trace (section 3.2.2.5).
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

/// A text is no valid `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no valid traceparent")]
pub struct InvalidTraceContext(());

impl std::str::FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        parse(text.as_bytes()).ok_or(InvalidTraceContext(()))
    }
}

/// The length of version 0, and the least of any later one.
const LENGTH: usize = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".len();

fn parse(text: &[u8]) -> Option<TraceContext> {
    let (known, rest) = text.split_at_checked(LENGTH)?;
    let [b'-', b'-', b'-'] = [known[2], known[35], known[52]] else { return None };
    let [version] = hex(&known[..2])?;
    match version {
        // Section 3.2.2.1: forbidden.
        0xff => return None,
        // Section 3.2.2.2: version 0 has these four parts and no more.
        0 if !rest.is_empty() => return None,
        // Section 4.3: of a later version the parts that are known are taken, if what follows them begins as a part of its own.
        _ if !rest.is_empty() && rest[0] != b'-' => return None,
        _ => {}
    }
    let (trace_id, parent_id) = (hex(&known[3..35])?, hex(&known[36..52])?);
    let [flags] = hex(&known[53..])?;
    // Sections 3.2.2.3 and 3.2.2.4: all zero is invalid.
    if trace_id == [0; 16] || parent_id == [0; 8] {
        return None;
    }
    Some(TraceContext { version, trace_id: TraceId(trace_id), parent_id: ParentId(parent_id), flags })
}

/// Lower case alone: section 3.2.2, `HEXDIGLC`.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

macro_rules! printed {
    ($($id:ident),*) => {$(
        impl $id {
            /// The bytes, the first of them first.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; size_of::<Self>()] {
                self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

printed!(TraceId, ParentId);

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    /// The examples and the rules of W3C Trace Context, sections 3.2 and 4.3.
    #[test]
    fn valid_fields_are_read() {
        for (text, version, flags, sampled) in [
            // Section 3.2.3: the two examples.
            (format!("00-{TRACE}-{PARENT}-01"), 0, 1, true),
            (format!("00-{TRACE}-{PARENT}-00"), 0, 0, false),
            // Flags without a meaning are no fault.
            (format!("00-{TRACE}-{PARENT}-ff"), 0, 255, true),
            (format!("00-{TRACE}-{PARENT}-08"), 0, 8, false),
            // Later versions, as long and longer.
            (format!("01-{TRACE}-{PARENT}-01"), 1, 1, true),
            (format!("cc-{TRACE}-{PARENT}-01-what-the-future-will-be-like"), 0xcc, 1, true),
            (format!("cc-{TRACE}-{PARENT}-01-"), 0xcc, 1, true),
            (format!("fe-{TRACE}-{PARENT}-01-.0"), 0xfe, 1, true),
        ] {
            let context: TraceContext = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((context.version(), context.flags(), context.is_sampled()), (version, flags, sampled), "{text}");
            assert_eq!(context.trace_id().to_string(), TRACE);
            assert_eq!(context.parent_id().to_string(), PARENT);
        }
        let context: TraceContext = format!("00-{TRACE}-{PARENT}-01").parse().unwrap();
        assert_eq!(context.parent_id().to_bytes(), [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert_eq!(context.trace_id().to_bytes()[..3], [0x4b, 0xf9, 0x2f]);
    }

    #[test]
    fn what_is_not_valid_is_refused() {
        let zero = |digits| "0".repeat(digits);
        for text in [
            String::new(),
            "00".to_owned(),
            // The version.
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("0-{TRACE}-{PARENT}-01"),
            format!("000-{TRACE}-{PARENT}-01"),
            format!("0x-{TRACE}-{PARENT}-01"),
            format!(".0-{TRACE}-{PARENT}-01"),
            format!("CC-{TRACE}-{PARENT}-01"),
            // The trace id.
            format!("00-{}-{PARENT}-01", zero(32)),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{}-{PARENT}-01", &TRACE[1..]),
            format!("00-0{TRACE}-{PARENT}-01"),
            format!("00-.{}-{PARENT}-01", &TRACE[1..]),
            // The parent id.
            format!("00-{TRACE}-{}-01", zero(16)),
            format!("00-{TRACE}-{}-01", PARENT.to_uppercase()),
            format!("00-{TRACE}-{}-01", &PARENT[1..]),
            format!("00-{TRACE}-0{PARENT}-01"),
            // The flags.
            format!("00-{TRACE}-{PARENT}-"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-0g"),
            format!("00-{TRACE}-{PARENT}-FF"),
            // What is between and behind.
            format!("00_{TRACE}-{PARENT}-01"),
            format!("00-{TRACE} {PARENT}-01"),
            format!("00-{TRACE}-{PARENT}.01"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("00-{TRACE}-{PARENT}-01-what-the-future-will-be-like"),
            format!("01-{TRACE}-{PARENT}-01.what"),
            format!("cc-{TRACE}-{PARENT}-012"),
            format!(" 00-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-01 "),
            format!("00-{TRACE}-{PARENT}-é"),
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(InvalidTraceContext(())), "{text}");
        }
    }

    #[test]
    fn one_field_and_no_more() {
        let field = format!("00-{TRACE}-{PARENT}-01");
        let mut headers = HeaderMap::new();
        assert_eq!(TraceContext::of(&headers), None);
        headers.append("traceparent", field.parse().unwrap());
        assert_eq!(TraceContext::of(&headers), Some(field.parse().unwrap()));
        headers.append("traceparent", field.parse().unwrap());
        assert_eq!(TraceContext::of(&headers), None, "two do not say which");
        headers.insert("traceparent", HeaderValue::from_bytes(b"00-\xff").unwrap());
        assert_eq!(TraceContext::of(&headers), None);
    }
}
