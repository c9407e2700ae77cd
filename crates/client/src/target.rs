//! From a request to the key of a connection.

use std::hash::{BuildHasher, Hash, Hasher};

use chaski_core::{Host, HostPort, Protocol, Route, Target, http::Request};
use http::Method;

use crate::ClientError;

/// What decides about a connection, and so whether two requests may use the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// That of all that follows, made once: it chooses the shard, and then the place in its map.
    hash: u64,
    pub(crate) target: Target,
    pub(crate) server_name: Option<Host>,
    pub(crate) protocol: Protocol,
    pub(crate) route: Route,
}

impl Key {
    /// Reads the key out of a request, and takes the route away: it is for connectors, not for the peer.
    pub(crate) fn of<B>(request: &mut Request<B>, https: bool, hasher: &impl BuildHasher) -> Result<Self, ClientError> {
        if request.method() == Method::CONNECT {
            return Err(ClientError::invalid("a CONNECT request asks for a tunnel, which is a connector's work"));
        }
        let uri = request.uri();
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(ClientError::invalid("the request needs an absolute URI, such as http://example.com/"));
        };
        let protocol = match scheme {
            "http" => Protocol::Http,
            "https" if https => Protocol::Https,
            "https" => {
                return Err(ClientError::invalid("the scheme \"https\" needs a connector that speaks TLS"));
            }
            other => return Err(ClientError::invalid(format!("the scheme \"{other}\" is not spoken here"))),
        };
        // RFC 9110 section 4.2.4: userinfo disguises the host that is really asked. It is not quoted: it may be a secret.
        if authority.as_str().contains('@') {
            return Err(ClientError::invalid("the request's URI has userinfo"));
        }
        let port = protocol.default_port().unwrap_or_default();
        let host = HostPort::parse_with_default_port(authority.as_str(), port)
            .map_err(|error| ClientError::invalid("the request's URI names no valid host").with_source(error))?;
        let route = request.extensions_mut().remove::<Route>().unwrap_or_default();
        Ok(Self::new(Target::Host(host), None, protocol, route, hasher))
    }

    pub(crate) fn new(
        target: Target,
        server_name: Option<Host>,
        protocol: Protocol,
        route: Route,
        hasher: &impl BuildHasher,
    ) -> Self {
        let hash = hasher.hash_one((&target, &server_name, protocol, &route));
        Self { hash, target, server_name, protocol, route }
    }

    /// Which of so many shards the key belongs to.
    pub(crate) fn shard(&self, shards: usize) -> usize {
        // From the middle of the hash: maps look at its two ends.
        (self.hash >> 32) as u32 as usize % shards
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

#[cfg(test)]
mod tests {
    use chaski_core::{AddressParseError, find_cause};

    use super::*;
    use crate::ClientErrorKind;

    fn hasher() -> impl BuildHasher {
        std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default()
    }

    fn key(uri: &str, https: bool) -> Result<Key, ClientError> {
        Key::of(&mut http::Request::get(uri).body(()).unwrap(), https, &hasher())
    }

    #[test]
    fn the_uri_gives_target_and_protocol() {
        for (uri, target, protocol) in [
            ("http://example.com/a?b", "example.com:80", Protocol::Http),
            ("HTTP://EXAMPLE.com:8080", "example.com:8080", Protocol::Http),
            ("http://example.com:/", "example.com:80", Protocol::Http),
            ("https://[::1]/", "[::1]:443", Protocol::Https),
        ] {
            let key = key(uri, true).unwrap();
            assert_eq!((key.target.to_string().as_str(), key.protocol), (target, protocol), "{uri}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_with_the_reason() {
        for (uri, reason) in [
            ("/path", "the request needs an absolute URI, such as http://example.com/"),
            ("*", "the request needs an absolute URI, such as http://example.com/"),
            ("example.com:80", "the request needs an absolute URI, such as http://example.com/"),
            ("ftp://example.com/", "the scheme \"ftp\" is not spoken here"),
            ("https://example.com/", "the scheme \"https\" needs a connector that speaks TLS"),
            ("http://ana:secret@example.com/", "the request's URI has userinfo"),
            ("http://127.1/", "the request's URI names no valid host"),
        ] {
            let error = key(uri, false).unwrap_err();
            assert_eq!(error.kind(), ClientErrorKind::InvalidRequest, "{uri}");
            assert_eq!(error.to_string(), reason);
            assert!(error.is_not_sent());
        }
        assert!(find_cause::<AddressParseError>(&key("http://127.1/", false).unwrap_err()).is_some());
        let mut tunnel = http::Request::connect("example.com:443").body(()).unwrap();
        assert!(Key::of(&mut tunnel, true, &hasher()).unwrap_err().to_string().contains("CONNECT"));
    }

    #[test]
    fn the_route_is_part_of_the_key_and_leaves_the_request() {
        let mut request = http::Request::get("http://a/").body(()).unwrap();
        request.extensions_mut().insert(Route::default().with("eth1"));
        let with = Key::of(&mut request, false, &hasher()).unwrap();
        assert!(request.extensions().get::<Route>().is_none());
        assert_ne!(with, Key::of(&mut request, false, &hasher()).unwrap());
    }
}
