//! Field names that are recognised without an allocation and without hashing.
//!
//! `http` makes an allocation for each name it has no constant for, and modern
//! browsers send a dozen of those (`sec-fetch-*`, `sec-ch-ua*`, `priority`).
//! Here they are found in a static table and cloned for free, and a name that
//! is found needs no check of its bytes any more.

use http::HeaderName;

/// What a field means to this codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Host,
    Connection,
    ContentLength,
    TransferEncoding,
    Upgrade,
    Expect,
    Te,
    /// Nothing.
    Plain,
}

/// Finds a name, in any case.
#[inline(always)]
pub(super) fn known(name: &[u8]) -> Option<(&'static HeaderName, Field)> {
    let tail = tail_of(name);
    let mut slot = slot_of(name.len(), tail);
    loop {
        let index = usize::from(SLOTS[slot]);
        if index == 0 {
            return None;
        }
        if KEYS[index - 1].matches(name, tail) {
            return Some((&HEADER_NAMES[index - 1], FIELDS[index - 1]));
        }
        slot = (slot + 1) % SLOT_COUNT;
    }
}

/// A name in words of eight bytes, to be compared without regard to case.
///
/// The bit that is the case of a letter is set in what is compared only where
/// the name has a letter, so that no other byte passes for one.
#[derive(Clone, Copy)]
struct Key {
    len: usize,
    words: [(u64, u64); WORDS],
    tail: (u64, u64),
}

const WORDS: usize = LONGEST / 8;

impl Key {
    const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        let mut words = [(0, 0); WORDS];
        let mut index = 0;
        while index < name.len() / 8 {
            words[index] = with_case(word_at(name, index * 8));
            index += 1;
        }
        Self { len: name.len(), words, tail: with_case(tail_of(name)) }
    }

    #[inline(always)]
    fn matches(&self, name: &[u8], tail: u64) -> bool {
        if self.len != name.len() || tail | self.tail.1 != self.tail.0 {
            return false;
        }
        let words = name.as_chunks::<8>().0;
        words.iter().zip(&self.words).all(|(word, (lower, case))| u64::from_le_bytes(*word) | case == *lower)
    }
}

/// The last eight bytes of a name; of a shorter one all, as [`short_word`] puts
/// them.
#[inline]
const fn tail_of(name: &[u8]) -> u64 {
    match name.last_chunk::<8>() {
        Some(tail) => u64::from_le_bytes(*tail),
        None => short_word(name),
    }
}

const fn word_at(name: &[u8], at: usize) -> u64 {
    match name.split_at(at).1.first_chunk::<8>() {
        Some(word) => u64::from_le_bytes(*word),
        None => 0,
    }
}

/// All bytes of a name shorter than eight bytes; which is where, depends on
/// its length only.
#[inline]
const fn short_word(name: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        return u32::from_le_bytes(*first) as u64 | (u32::from_le_bytes(*last) as u64) << 32;
    }
    match name {
        [a] => *a as u64,
        [a, b] => *a as u64 | (*b as u64) << 8,
        [a, b, c] => *a as u64 | (*b as u64) << 8 | (*c as u64) << 16,
        _ => 0,
    }
}

/// A word of a name in lower case, and the case bit of each of its letters.
const fn with_case(word: u64) -> (u64, u64) {
    let mut case = 0;
    let mut index = 0;
    while index < 64 {
        if ((word >> index) as u8).is_ascii_lowercase() {
            case |= 0x20 << index;
        }
        index += 8;
    }
    (word, case)
}

const SLOT_COUNT: usize = 512;
const LONGEST: usize = longest();

/// Where the search for a name begins. The factor was searched for: with it
/// two of all names stand one slot further on, the rest where they start.
#[inline]
const fn slot_of(len: usize, tail: u64) -> usize {
    // A letter's case is one bit; other bytes may collide, which costs a
    // comparison and nothing else.
    const CASE: u64 = u64::from_ne_bytes([0x20; 8]);
    let hash = ((tail | CASE) ^ len as u64).wrapping_mul(FACTOR);
    (hash >> (64 - SLOT_COUNT.trailing_zeros())) as usize
}

const FACTOR: u64 = 0x429b_ea1c_0ce2_6d39;

/// The open-addressed table: for each slot 0, or 1 + the index of a name.
static SLOTS: [u8; SLOT_COUNT] = slots();

const fn slots() -> [u8; SLOT_COUNT] {
    let mut slots = [0; SLOT_COUNT];
    let mut index = 0;
    while index < NAMES.len() {
        let mut slot = slot_of(NAMES[index].len(), tail_of(NAMES[index].as_bytes()));
        while slots[slot] != 0 {
            slot = (slot + 1) % SLOT_COUNT;
        }
        slots[slot] = index as u8 + 1;
        index += 1;
    }
    slots
}

const fn longest() -> usize {
    let mut longest = 0;
    let mut index = 0;
    while index < NAMES.len() {
        if NAMES[index].len() > longest {
            longest = NAMES[index].len();
        }
        index += 1;
    }
    longest
}

macro_rules! names {
    ($($name:literal $field:ident)*) => {
        static NAMES: [&str; COUNT] = [$($name),*];
        static KEYS: [Key; COUNT] = [$(Key::new($name)),*];
        static FIELDS: [Field; COUNT] = [$(Field::$field),*];
        static HEADER_NAMES: [HeaderName; COUNT] = [$(HeaderName::from_static($name)),*];
        const COUNT: usize = [$($name),*].len();
    };
}

names! {
    "host" Host
    "connection" Connection
    "content-length" ContentLength
    "transfer-encoding" TransferEncoding
    "upgrade" Upgrade
    "expect" Expect
    "user-agent" Plain
    "accept" Plain
    "accept-encoding" Plain
    "accept-language" Plain
    "accept-charset" Plain
    "content-type" Plain
    "cookie" Plain
    "referer" Plain
    "origin" Plain
    "cache-control" Plain
    "pragma" Plain
    "authorization" Plain
    "range" Plain
    "if-none-match" Plain
    "if-modified-since" Plain
    "if-match" Plain
    "if-unmodified-since" Plain
    "if-range" Plain
    "te" Te
    "trailer" Plain
    "via" Plain
    "forwarded" Plain
    "dnt" Plain
    "date" Plain
    "from" Plain
    "max-forwards" Plain
    "keep-alive" Plain
    "upgrade-insecure-requests" Plain
    "priority" Plain
    "save-data" Plain
    "purpose" Plain
    "http2-settings" Plain
    "proxy-authorization" Plain
    "proxy-connection" Plain
    "sec-fetch-site" Plain
    "sec-fetch-mode" Plain
    "sec-fetch-dest" Plain
    "sec-fetch-user" Plain
    "sec-gpc" Plain
    "sec-purpose" Plain
    "sec-ch-ua" Plain
    "sec-ch-ua-mobile" Plain
    "sec-ch-ua-platform" Plain
    "sec-ch-ua-platform-version" Plain
    "sec-ch-ua-arch" Plain
    "sec-ch-ua-bitness" Plain
    "sec-ch-ua-model" Plain
    "sec-ch-ua-full-version-list" Plain
    "sec-websocket-key" Plain
    "sec-websocket-version" Plain
    "sec-websocket-protocol" Plain
    "sec-websocket-extensions" Plain
    "sec-websocket-accept" Plain
    "x-forwarded-for" Plain
    "x-forwarded-proto" Plain
    "x-forwarded-host" Plain
    "x-forwarded-port" Plain
    "x-real-ip" Plain
    "x-request-id" Plain
    "x-correlation-id" Plain
    "x-requested-with" Plain
    "x-api-key" Plain
    "x-csrf-token" Plain
    "traceparent" Plain
    "tracestate" Plain
    "baggage" Plain
    "idempotency-key" Plain
    "access-control-request-method" Plain
    "access-control-request-headers" Plain
    "access-control-allow-origin" Plain
    "access-control-allow-methods" Plain
    "access-control-allow-headers" Plain
    "access-control-allow-credentials" Plain
    "access-control-expose-headers" Plain
    "access-control-max-age" Plain
    "server" Plain
    "etag" Plain
    "last-modified" Plain
    "expires" Plain
    "age" Plain
    "vary" Plain
    "set-cookie" Plain
    "location" Plain
    "content-encoding" Plain
    "content-disposition" Plain
    "content-language" Plain
    "content-range" Plain
    "accept-ranges" Plain
    "allow" Plain
    "retry-after" Plain
    "strict-transport-security" Plain
    "x-content-type-options" Plain
    "x-frame-options" Plain
    "x-xss-protection" Plain
    "content-security-policy" Plain
    "referrer-policy" Plain
    "permissions-policy" Plain
    "alt-svc" Plain
    "x-powered-by" Plain
    "x-cache" Plain
    "cf-ray" Plain
    "cf-cache-status" Plain
    "server-timing" Plain
    "report-to" Plain
    "nel" Plain
    "link" Plain
    "www-authenticate" Plain
    "proxy-authenticate" Plain
    "cross-origin-opener-policy" Plain
    "cross-origin-embedder-policy" Plain
    "cross-origin-resource-policy" Plain
    "x-envoy-upstream-service-time" Plain
    "grpc-status" Plain
    "grpc-message" Plain
    "grpc-encoding" Plain
    "grpc-accept-encoding" Plain
    "grpc-timeout" Plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for name in NAMES {
            for spelling in [name.to_owned(), name.to_ascii_uppercase()] {
                let (found, _) = known(spelling.as_bytes()).expect(name);
                assert_eq!(found.as_str(), name);
            }
        }
    }

    #[test]
    fn names_alike_are_not_found() {
        // 0x0d differs from '-' by the bit that is the case of letters.
        for name in ["", "hosT\0", "content\rlength", "sec-fetch-sitE\r", "x", "hose", "expec\u{54}t"] {
            assert!(known(name.as_bytes()).is_none(), "{name:?}");
        }
        assert!(known(&[b'a'; 300]).is_none());
    }

    #[test]
    fn framing_fields_are_marked() {
        assert_eq!(known(b"Content-Length").map(|known| known.1), Some(Field::ContentLength));
        assert_eq!(known(b"TRANSFER-ENCODING").map(|known| known.1), Some(Field::TransferEncoding));
        assert_eq!(known(b"accept").map(|known| known.1), Some(Field::Plain));
    }
}
