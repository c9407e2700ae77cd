//! A request that can be sent a second time.

use chaski_core::http::{Body, Message, Request};
use http::Method;

/// What is kept of a request while it is under way on a reused connection.
///
/// A clone of the head costs allocations, so that it is made only where a retry could need it.
#[derive(Debug)]
pub(crate) struct Replay(Request<Body>);

impl Replay {
    /// Keeps a copy, if the request is idempotent and its body in hand. The two are attempts: each gets a scope of its
    /// own, so that what the one learns is not found by the other.
    pub(crate) fn of(request: &mut Request<Body>) -> Option<Self> {
        if !is_idempotent(request.method()) {
            return None;
        }
        let body = request.body().replay()?;
        Some(Self(copy(request, body)))
    }

    pub(crate) fn into_request(self) -> Request<Body> {
        self.0
    }
}

/// A request with the same head and another body. Each of the two gets a scope of its own, a child of what was one.
pub(crate) fn copy(request: &mut Request<Body>, body: Body) -> Request<Body> {
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    if let Some(scope) = request.take_scope() {
        copy.set_scope(scope.fork());
        request.set_scope(scope.fork());
    }
    copy
}

/// RFC 9110 section 9.2.2: to send it twice is as good as once.
fn is_idempotent(method: &Method) -> bool {
    // CONNECT is none, and extension methods are unknown.
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Id(u8);

    #[test]
    fn a_copy_has_the_head_the_body_and_a_scope_of_its_own() {
        let mut request = http::Request::put("http://a/b").header("x", "1").body(Body::full("abc")).unwrap();
        request.extensions_mut().insert(7_u8);
        request.scope().insert(Id(1));
        let copy = Replay::of(&mut request).unwrap().into_request();
        request.scope().insert(Id(2));
        assert_eq!((copy.method(), copy.uri().path(), copy.headers()["x"].as_bytes()), (&Method::PUT, "/b", &b"1"[..]));
        assert_eq!(copy.body().as_full().unwrap(), "abc");
        assert_eq!(copy.extensions().get(), Some(&7_u8));
        assert_eq!(copy.fact(), Some(&Id(1)), "what the request knew, and not what its first attempt learned");
    }

    #[test]
    fn only_idempotent_methods_are_copied() {
        for (method, copied) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("TRACE", true),
            ("PUT", true),
            ("DELETE", true),
            ("POST", false),
            ("PATCH", false),
            ("CONNECT", false),
            ("QUERY", false),
        ] {
            let mut request = http::Request::builder().method(method).uri("http://a/").body(Body::empty()).unwrap();
            assert_eq!(Replay::of(&mut request).is_some(), copied, "{method}");
        }
    }

    #[test]
    fn a_streamed_body_is_not_copied() {
        let body = Body::new(Body::full("abc"));
        assert!(Replay::of(&mut http::Request::put("http://a/").body(body).unwrap()).is_none());
    }
}
