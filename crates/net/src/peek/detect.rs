/// Tells from the first bytes of a stream whether it is of some kind.
///
/// Every `Fn(&[u8]) -> Verdict` is a detector.
///
/// # Contract
///
/// - It is given all that has arrived, from the first byte on and at least one byte: less than a whole message in any
///   place, or more than one.
/// - Yes and no are final: more bytes must not change them. So [`NeedMore`](Verdict::NeedMore) is the answer to all that
///   may still become either.
/// - It is asked again after every read, so it should be cheap: a client may send byte by byte.
///
/// ```
/// use chaski_net::peek::{Detect, Verdict};
///
/// /// SSH: `SSH-protoversion-softwareversion` (RFC 4253 section 4.2), here of version 2.
/// let ssh = |bytes: &[u8]| {
///     let start = b"SSH-2.";
///     match bytes.len() {
///         n if bytes[..n.min(start.len())] != start[..n.min(start.len())] => Verdict::No,
///         n if n < start.len() => Verdict::NeedMore,
///         _ => Verdict::Yes,
///     }
/// };
/// assert_eq!(ssh.detect(b"SS"), Verdict::NeedMore);
/// assert_eq!(ssh.detect(b"SSL"), Verdict::No);
/// assert_eq!(ssh.detect(b"SSH-2.0-OpenSSH_9.2"), Verdict::Yes);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a detector",
    note = "a detector is a closure `|bytes: &[u8]| -> Verdict`, `Prefix(b\"..\")`, or a type that implements `Detect`"
)]
pub trait Detect: Send + Sync + 'static {
    /// What `bytes`, the first of the stream, say.
    fn detect(&self, bytes: &[u8]) -> Verdict;
}

impl<F: Fn(&[u8]) -> Verdict + Send + Sync + 'static> Detect for F {
    fn detect(&self, bytes: &[u8]) -> Verdict {
        self(bytes)
    }
}

/// What the first bytes of a stream say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is of this kind, whatever follows.
    Yes,
    /// It is not, whatever follows.
    No,
    /// What follows decides.
    NeedMore,
}

/// A stream that begins with these bytes.
///
/// It is decided at the first byte that differs, or when all have come. No bytes match every stream.
///
/// ```
/// use chaski_net::peek::{Detect, Prefix, Verdict};
///
/// let socks5 = Prefix(b"\x05");
/// assert_eq!(socks5.detect(b"\x05\x01\x00"), Verdict::Yes);
/// assert_eq!(socks5.detect(b"\x04"), Verdict::No);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix<B>(pub B);

impl<B: AsRef<[u8]> + Send + Sync + 'static> Detect for Prefix<B> {
    fn detect(&self, bytes: &[u8]) -> Verdict {
        let prefix = self.0.as_ref();
        if bytes.starts_with(prefix) {
            Verdict::Yes
        } else if prefix.starts_with(bytes) {
            Verdict::NeedMore
        } else {
            Verdict::No
        }
    }
}

/// A stream that begins as a TLS client does: a handshake record whose first message is a ClientHello.
///
/// Six bytes decide, and fewer where one cannot be right; what is in the hello is not looked at. TLS 1.0 to 1.3 and SSL
/// 3.0 begin so, the SSL 2.0 form of a hello does not (RFC 8446 appendix D.5 forbids it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsClientHello;

impl TlsClientHello {
    /// RFC 8446 section 5.1: `handshake(22)`, then the version, of which servers have to ignore the minor number (RFC
    /// 5246 appendix E.1).
    const RECORD: [u8; 2] = [22, 3];

    /// RFC 8446 section 5.1: no fragment is longer than this, and none of a handshake is empty.
    const MAX_FRAGMENT: u16 = 1 << 14;

    /// RFC 8446 section 4: `client_hello(1)`.
    const CLIENT_HELLO: u8 = 1;
}

impl Detect for TlsClientHello {
    fn detect(&self, bytes: &[u8]) -> Verdict {
        let is_record = bytes.iter().zip(Self::RECORD).all(|(&byte, expected)| byte == expected);
        let has_length = match *bytes {
            [_, _, _, high, low, ..] => (1..=Self::MAX_FRAGMENT).contains(&u16::from_be_bytes([high, low])),
            // The least length that begins with this byte is the one to judge by.
            [_, _, _, high] => u16::from_be_bytes([high, 0]) <= Self::MAX_FRAGMENT,
            _ => true,
        };
        match bytes.get(5) {
            _ if !is_record || !has_length => Verdict::No,
            None => Verdict::NeedMore,
            Some(&Self::CLIENT_HELLO) => Verdict::Yes,
            Some(_) => Verdict::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use chaski_core::test_util::splits;

    use super::*;

    fn check(detector: &impl Detect, bytes: &[u8], expected: Verdict) {
        assert_eq!(detector.detect(bytes), expected, "{bytes:?}");
    }

    /// Whole input gives `last`; at `decided` bytes that is known, and with fewer it is not.
    fn decides(detector: &impl Detect, bytes: &[u8], decided: usize, last: Verdict) {
        for (start, _) in splits(bytes).skip(1) {
            check(detector, start, if start.len() < decided { Verdict::NeedMore } else { last });
        }
    }

    #[test]
    fn a_prefix_is_decided_at_its_end_or_at_the_first_difference() {
        let preface = Prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        decides(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04", 24, Verdict::Yes);
        decides(&preface, b"PRI * HTTP/1.1\r\n", 12, Verdict::No);
        decides(&preface, b"POST / HTTP/1.1\r\n", 2, Verdict::No);
        decides(&preface, b"GET / HTTP/1.1\r\n", 1, Verdict::No);
        decides(&Prefix(Vec::from("\x05")), b"\x05\x01\0", 1, Verdict::Yes);
        decides(&Prefix(""), b"anything", 1, Verdict::Yes);
    }

    /// What `openssl s_client` 3.0 sent: the record's head and the hello's first bytes.
    const OPENSSL: [u8; 16] =
        [0x16, 0x03, 0x01, 0x01, 0x38, 0x01, 0x00, 0x01, 0x34, 0x03, 0x03, 0x27, 0x26, 0xa3, 0xdd, 0x68];

    /// The same with `-tls1_2`.
    const OPENSSL_1_2: [u8; 16] =
        [0x16, 0x03, 0x01, 0x00, 0xcb, 0x01, 0x00, 0x00, 0xc7, 0x03, 0x03, 0xcb, 0x5f, 0x4c, 0x60, 0x2d];

    #[test]
    fn a_client_hello_is_known_by_six_bytes() {
        decides(&TlsClientHello, &OPENSSL, 6, Verdict::Yes);
        decides(&TlsClientHello, &OPENSSL_1_2, 6, Verdict::Yes);
        // SSL 3.0, and a version that does not exist yet.
        decides(&TlsClientHello, &[22, 3, 0, 0, 45, 1, 0, 0, 41], 6, Verdict::Yes);
        decides(&TlsClientHello, &[22, 3, 9, 0, 45, 1, 0, 0, 41], 6, Verdict::Yes);
        // The hello's first byte alone in a record, and the longest record.
        decides(&TlsClientHello, &[22, 3, 1, 0, 1, 1, 22, 3, 1], 6, Verdict::Yes);
        decides(&TlsClientHello, &[22, 3, 1, 0x40, 0, 1, 0, 0x40], 6, Verdict::Yes);
    }

    #[test]
    fn what_is_no_client_hello_is_refused_at_the_byte_that_says_so() {
        for (bytes, decided) in [
            (&b"GET / HTTP/1.1\r\n"[..], 1),
            (b"SSH-2.0-OpenSSH_9.2\r\n", 1),
            (b"\x05\x01\0", 1),
            // An alert, and application data.
            (&[21, 3, 3, 0, 2, 2, 40], 1),
            (&[23, 3, 3, 0, 9, 1, 0], 1),
            // An SSL 2.0 hello that offers TLS.
            (&[0x80, 0x2e, 1, 3, 1, 0, 0x15], 1),
            // The text "\x16" and a word; DTLS 1.2, whose versions count down.
            (&[22, b'a', b'b'], 2),
            (&[22, 254, 253, 0, 0, 0], 2),
            // Longer than a record may be, by one byte or by a lot, and an empty fragment.
            (&[22, 3, 1, 0x40, 1, 1], 5),
            (&[22, 3, 1, 0x41, 0, 1], 4),
            (&[22, 3, 1, 0, 0, 1], 5),
            // A ServerHello.
            (&[22, 3, 3, 0, 0x7a, 2, 0], 6),
        ] {
            decides(&TlsClientHello, bytes, decided, Verdict::No);
        }
    }
}
