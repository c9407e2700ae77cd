//! A request that can be sent a second time.

use chaski_core::http::{Body, Message, Request};
use http::Method;

/// A request with the same head and another body. Each of the two gets a scope of its own, a child of what was one.
pub(crate) fn copy(request: &mut Request<Body>, body: Body) -> Request<Body> {
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    if let Some(scope) = request.split_scope() {
        copy.set_scope(scope);
    }
    copy
}

/// A copy of a request whose body is in hand, as by [`copy`].
pub(crate) fn whole(request: &mut Request<Body>) -> Option<Request<Body>> {
    let body = request.body().replay()?;
    Some(copy(request, body))
}

/// RFC 9110 section 9.2.2: to send it twice is as good as once.
pub(crate) fn is_idempotent(method: &Method) -> bool {
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
        let copy = copy(&mut request, Body::full("abc"));
        request.scope().insert(Id(2));
        assert_eq!((copy.method(), copy.uri().path(), copy.headers()["x"].as_bytes()), (&Method::PUT, "/b", &b"1"[..]));
        assert_eq!(copy.body().as_full().unwrap(), "abc");
        assert_eq!(copy.extensions().get(), Some(&7_u8));
        assert_eq!(copy.fact(), Some(&Id(1)), "what the request knew, and not what its first attempt learned");
    }

    #[test]
    fn only_idempotent_methods_are_sent_twice() {
        for (method, twice) in [
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
            assert_eq!(is_idempotent(&Method::from_bytes(method.as_bytes()).unwrap()), twice, "{method}");
        }
    }
}
