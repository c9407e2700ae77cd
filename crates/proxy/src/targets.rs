//! From the authority of a request's URI to its server, and to the value of Host for that.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use chaski_core::HostPort;
use http::{HeaderValue, uri::Authority};

use crate::{answer::Refusal, connect::checked};

/// How many targets are remembered, one in each place. A name has 255 bytes at most, so this is less than 200 KiB.
const REMEMBERED: usize = 256;

/// The server of an absolute `http` URI.
pub(crate) struct Target {
    /// As it was written.
    authority: Box<str>,
    pub(crate) server: HostPort,
    /// RFC 9112 section 3.2.2: it follows from the target, whatever the Host of the request said.
    pub(crate) host: HeaderValue,
}

/// Reads targets, and remembers some by their text: most proxies are asked for the same servers over and over.
pub(crate) struct Targets(Box<[Mutex<Option<Arc<Target>>>]>);

impl Targets {
    pub(crate) fn new() -> Self {
        Self((0..REMEMBERED).map(|_| Mutex::default()).collect())
    }

    /// The target with this text.
    ///
    /// # Errors
    ///
    /// The answer to a request whose target is none for this proxy. Nothing of it is remembered.
    pub(crate) fn of(&self, authority: &Authority) -> Result<Arc<Target>, Refusal> {
        let text = authority.as_str();
        // FNV-1a: short, and who finds two texts for one place has gained a second parse.
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut place = self.0[(hash >> 32) as usize % REMEMBERED].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = &*place
            && *target.authority == *text
        {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(Target::parse(text)?);
        *place = Some(Arc::clone(&target));
        Ok(target)
    }
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Targets").finish_non_exhaustive()
    }
}

impl Target {
    fn parse(authority: &str) -> Result<Self, Refusal> {
        // RFC 9110 section 4.2.4: userinfo is an error in what comes from others; it dresses one host up as another.
        if authority.contains('@') {
            return Err(Refusal::bad_request("a URI with userinfo is not forwarded"));
        }
        let server = HostPort::parse_with_default_port(authority, 80);
        let server = checked(server.map_err(|error| Refusal::bad_request(format!("the target's host: {error}")))?)?;
        let host = host(&server)?;
        Ok(Self { authority: authority.into(), server, host })
    }
}

/// The value of Host for a server: no port where the scheme implies it.
fn host(target: &HostPort) -> Result<HeaderValue, Refusal> {
    use std::fmt::Write as _;

    let mut text = BytesMut::with_capacity(64);
    let written = match target.port {
        80 => write!(text, "{}", target.host.uri()),
        port => write!(text, "{}:{port}", target.host.uri()),
    };
    let text: Bytes = text.freeze();
    match (written, HeaderValue::from_maybe_shared(text)) {
        (Ok(()), Ok(host)) => Ok(host),
        // A parsed host has only characters that a field can hold; if that ever changes, nothing is forwarded.
        _ => Err(Refusal::bad_request("the target's host cannot be written")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(targets: &Targets, text: &str) -> Arc<Target> {
        targets.of(&text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_target_has_a_server_and_a_host() {
        let targets = Targets::new();
        for (text, server, host) in [
            ("example.com", "example.com:80", "example.com"),
            ("EXAMPLE.com:", "example.com:80", "example.com"),
            ("example.com:80", "example.com:80", "example.com"),
            ("example.com:8080", "example.com:8080", "example.com:8080"),
            ("[::1]", "[::1]:80", "[::1]"),
            ("192.0.2.1:81", "192.0.2.1:81", "192.0.2.1:81"),
        ] {
            // The second time out of memory.
            for _ in 0..2 {
                let target = read(&targets, text);
                assert_eq!(
                    (target.server.to_string().as_str(), target.host.to_str().unwrap()),
                    (server, host),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_target_is_remembered_for_its_text_alone() {
        let targets = Targets::new();
        let first = read(&targets, "a.example");
        assert!(Arc::ptr_eq(&first, &read(&targets, "a.example")));
        assert!(!Arc::ptr_eq(&first, &read(&targets, "A.example")));
        // More than are remembered: each is still its own.
        for n in 0..2 * REMEMBERED {
            assert_eq!(read(&targets, &format!("h{n}.example")).host, format!("h{n}.example"));
        }
    }

    #[test]
    fn what_is_refused_is_refused_again() {
        let targets = Targets::new();
        for text in ["user@a.example", "127.1", "a.example:0"] {
            for _ in 0..2 {
                assert!(targets.of(&text.parse().unwrap()).is_err(), "{text}");
            }
        }
    }
}
