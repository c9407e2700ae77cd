//! From a request to the key of a connection.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use chaski_core::{Host, HostPort, HttpVersions, Protocol, Route, Target, http::Request};
use http::{Method, uri::Authority};

use crate::ClientError;

/// How many keys are remembered, one in each place: more than the hosts that most programs ask.
const REMEMBERED: usize = 256;

/// Reads keys out of requests, and remembers some by the text that they were read from: whoever asks the same hosts over and
/// over has them parsed and hashed once.
pub(crate) struct Keys {
    hasher: RandomState,
    remembered: Box<[Mutex<Option<Remembered>>]>,
}

struct Remembered {
    /// A copy: a part of the request's memory would keep all of that.
    authority: Box<str>,
    key: Arc<Key>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), remembered: (0..REMEMBERED).map(|_| Mutex::default()).collect() }
    }

    pub(crate) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    /// Reads the key out of a request, and takes the route away: it is for connectors, not for the peer.
    pub(crate) fn of<B>(&self, request: &mut Request<B>, https: bool) -> Result<Arc<Key>, ClientError> {
        let route = request.extensions_mut().remove::<Route>();
        let (protocol, authority) = asked(request, https)?;
        if let Some(route) = route {
            return Ok(Arc::new(Key::parse(protocol, authority, route, &self.hasher)?));
        }
        // FNV-1a: short, and who finds two texts for one place has gained a second parse.
        let hash = authority
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let place = &self.remembered[(hash >> 32) as usize % REMEMBERED];
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Remembered { authority: text, key }) = &*place
            && **text == *authority.as_str()
            && key.protocol == protocol
        {
            return Ok(Arc::clone(key));
        }
        let key = Arc::new(Key::parse(protocol, authority, Route::default(), &self.hasher)?);
        *place = Some(Remembered { authority: authority.as_str().into(), key: Arc::clone(&key) });
        Ok(key)
    }
}

/// What a request is to be sent with, and to whom.
fn asked<B>(request: &Request<B>, https: bool) -> Result<(Protocol, &Authority), ClientError> {
    if request.method() == Method::CONNECT {
        return Err(ClientError::invalid("a CONNECT request asks for a tunnel, which is a connector's work"));
    }
    let uri = request.uri();
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(ClientError::invalid("the request needs an absolute URI, such as http://example.com/"));
    };
    match scheme {
        "http" => Ok((Protocol::Http, authority)),
        "https" if https => Ok((Protocol::Https, authority)),
        "https" => Err(ClientError::invalid("the scheme \"https\" needs a connector that speaks TLS")),
        other => Err(ClientError::invalid(format!("the scheme \"{other}\" is not spoken here"))),
    }
}

/// What decides about a connection, and so whether two requests may use the same one.
#[derive(Clone, Debug, Eq)]
pub(crate) struct Key {
    /// That of all that follows, made once: it chooses the shard, and then the place in its map.
    hash: u64,
    pub(crate) target: Target,
    pub(crate) server_name: Option<Host>,
    pub(crate) protocol: Protocol,
    pub(crate) route: Route,
}

impl Key {
    fn parse(
        protocol: Protocol,
        authority: &Authority,
        route: Route,
        hasher: &impl BuildHasher,
    ) -> Result<Self, ClientError> {
        // RFC 9110 section 4.2.4: userinfo disguises the host that is really asked. It is not quoted: it may be a secret.
        if authority.as_str().contains('@') {
            return Err(ClientError::invalid("the request's URI has userinfo"));
        }
        let port = protocol.default_port().unwrap_or_default();
        let host = HostPort::parse_with_default_port(authority.as_str(), port)
            .map_err(|error| ClientError::invalid("the request's URI names no valid host").with_source(error))?;
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

    /// Whether its sessions will probably be shared, when nothing else is known: HTTP/2 is agreed on over TLS, or asked for.
    pub(crate) fn expects_shared(&self) -> bool {
        match self.route.choice::<HttpVersions>() {
            Some(HttpVersions::Http1) => false,
            Some(HttpVersions::Http2) => true,
            _ => self.protocol.is_secure(),
        }
    }

    /// The host that has to prove itself over TLS, if the key has one and expects no other there.
    pub(crate) fn origin(&self) -> Option<&Host> {
        match &self.target {
            Target::Host(target) if self.protocol.is_secure() && self.server_name.is_none() => Some(&target.host),
            _ => None,
        }
    }

    /// Whether this key and another one differ in nothing but the host.
    pub(crate) fn is_other_host_of(&self, other: &Self) -> bool {
        let (Target::Host(this), Target::Host(that)) = (&self.target, &other.target) else { return false };
        this.port == that.port
            && this.host != that.host
            && (&self.server_name, self.protocol, &self.route) == (&other.server_name, other.protocol, &other.route)
    }

    /// Which of so many shards the key belongs to.
    pub(crate) fn shard(&self, shards: usize) -> usize {
        // From the middle of the hash: maps look at its two ends.
        (self.hash >> 32) as u32 as usize % shards
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        // Mostly it is the same one, out of [`Keys`].
        std::ptr::eq(self, other)
            || self.hash == other.hash
                && (&self.target, &self.server_name, self.protocol, &self.route)
                    == (&other.target, &other.server_name, other.protocol, &other.route)
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

    fn key(uri: &str, https: bool) -> Result<Arc<Key>, ClientError> {
        Keys::new().of(&mut http::Request::get(uri).body(()).unwrap(), https)
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
        assert!(Keys::new().of(&mut tunnel, true).unwrap_err().to_string().contains("CONNECT"));
    }

    #[test]
    fn the_route_is_part_of_the_key_and_leaves_the_request() {
        let keys = Keys::new();
        let mut request = http::Request::get("http://a/").body(()).unwrap();
        request.extensions_mut().insert(Route::default().with("eth1"));
        let with = keys.of(&mut request, false).unwrap();
        assert!(request.extensions().get::<Route>().is_none());
        assert_ne!(with, keys.of(&mut request, false).unwrap());
    }

    #[test]
    fn shared_sessions_are_expected_where_http2_is_agreed_on_or_asked_for() {
        let keys = Keys::new();
        for (uri, versions, expected) in [
            ("http://a/", None, false),
            ("https://a/", None, true),
            ("https://a/", Some(HttpVersions::Any), true),
            ("https://a/", Some(HttpVersions::Http1), false),
            ("http://a/", Some(HttpVersions::Any), false),
            ("http://a/", Some(HttpVersions::Http2), true),
        ] {
            let mut request = http::Request::get(uri).body(()).unwrap();
            if let Some(versions) = versions {
                request.extensions_mut().insert(Route::default().with(versions));
            }
            assert_eq!(keys.of(&mut request, true).unwrap().expects_shared(), expected, "{uri} {versions:?}");
        }
    }

    #[test]
    fn another_host_is_the_same_in_all_else() {
        let keys = Keys::new();
        let key = |uri: &str, route: Option<Route>| {
            let mut request = http::Request::get(uri).body(()).unwrap();
            route.map(|route| request.extensions_mut().insert(route));
            keys.of(&mut request, true).unwrap()
        };
        let first = key("https://a.example/", None);
        assert_eq!(first.origin().unwrap().to_string(), "a.example");
        assert!(key("http://a.example/", None).origin().is_none());
        let eth1 = || Some(Route::default().with("eth1"));
        for (uri, route, other) in [
            ("https://b.example/", None, true),
            ("https://b.example:443/", None, true),
            ("https://a.example/", None, false),
            ("https://b.example:8443/", None, false),
            ("http://b.example:443/", None, false),
            ("https://b.example/", eth1(), false),
        ] {
            assert_eq!(key(uri, route).is_other_host_of(&first), other, "{uri}");
        }
        assert!(key("https://b.example/", eth1()).is_other_host_of(&key("https://a.example/", eth1())));
        let fronted = Key::new(
            first.target.clone(),
            Some("cdn.example".parse().unwrap()),
            first.protocol,
            Route::default(),
            keys.hasher(),
        );
        assert!(fronted.origin().is_none() && !key("https://b.example/", None).is_other_host_of(&fronted));
    }

    #[test]
    fn a_key_is_remembered_for_its_text_and_protocol() {
        let keys = Keys::new();
        let key = |uri: &str| keys.of(&mut http::Request::get(uri).body(()).unwrap(), true).unwrap();
        let first = key("http://example.com:80/a");
        assert!(Arc::ptr_eq(&first, &key("http://example.com:80/b")));
        let spelled = key("http://EXAMPLE.com/");
        assert!(!Arc::ptr_eq(&first, &spelled));
        assert_eq!(first, spelled, "another text, the same server");
        assert_ne!(first, key("https://example.com:80/"));
        // More than are remembered: each is still its own.
        for n in 0..2 * REMEMBERED {
            assert_eq!(key(&format!("http://h{n}.example/")).target.to_string(), format!("h{n}.example:80"));
        }
        assert_eq!(key("http://example.com:80/c"), first);
    }
}
