//! The connector that goes through a proxy. Its session is a mock: that a real proxy takes what is asked is shown where
//! engines are known.

use std::future::{Future, pending};

use chaski_core::{
    Conn, Connect, ConnectError, ConnectStage, Extensions, HostPort, HttpVersions, Route, SendError, Service, Session,
    SessionState, Slots, Target, describe, find_cause,
    http::{Body, Message, Request, Response, Upgraded},
    service_fn,
    test_util::{MockHandle, MockService, Pipe, mock, pipe},
};
use chaski_proxy::{HttpProxy, HttpProxyConnector, ProxyRefused};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Sent = MockHandle<Request, Response, SendError<Request>>;
type Hops = MockHandle<Connect, FakeSession, ConnectError>;
type Dials = MockHandle<Connect, Conn<Pipe>, ConnectError>;
type Connector =
    HttpProxyConnector<MockService<Connect, FakeSession, ConnectError>, MockService<Connect, Conn<Pipe>, ConnectError>>;

struct FakeSession {
    sent: MockService<Request, Response, SendError<Request>>,
    scope: Extensions,
}

impl Service<Request> for FakeSession {
    type Output = Response;
    type Error = SendError<Request>;

    async fn serve(&self, request: Request) -> Result<Response, SendError<Request>> {
        self.sent.serve(request).await
    }
}

impl Session<Request> for FakeSession {
    fn slots(&self) -> Slots {
        Slots { free: 1, shared: false }
    }

    fn state(&self) -> SessionState {
        SessionState::Open
    }

    fn changed(&self) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }

    fn scope(&self) -> &Extensions {
        &self.scope
    }

    fn drain(&self) {}
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Interface(&'static str);

fn connector() -> (Connector, Hops, Dials) {
    let ((hops, hop), (dials, dial)) = (mock(), mock());
    (HttpProxyConnector::new(hops, dials), hop, dial)
}

fn session() -> (FakeSession, Sent) {
    let (sent, handle) = mock();
    (FakeSession { sent, scope: Extensions::new() }, handle)
}

fn connect(target: &str, route: Route) -> Connect {
    Connect::new(target.parse::<HostPort>().unwrap()).with_route(route)
}

/// Dials through a proxy that answers what it is asked with `answer`, and gives what it was asked besides.
async fn through(
    proxy: &str,
    target: Target,
    answer: Response,
) -> (Connect, Request, Result<Conn<chaski_core::BoxIo>, ConnectError>) {
    let (connector, mut hops, _dials) = connector();
    let route =
        Route::default().with(proxy.parse::<HttpProxy>().unwrap()).with(HttpVersions::Http2).with(Interface("eth1"));
    let (result, asked) = tokio::join!(connector.serve(Connect::new(target).with_route(route)), async {
        let hop = hops.next().await;
        let (session, mut sent) = session();
        hop.responder.respond(Ok(session));
        let asked = sent.next().await;
        asked.responder.respond(Ok(answer));
        (hop.input, asked.input)
    });
    (asked.0, asked.1, result)
}

fn host(text: &str) -> Target {
    text.parse::<HostPort>().unwrap().into()
}

#[tokio::test]
async fn a_dial_without_the_choice_is_direct() {
    let (connector, mut hops, mut dials) = connector();
    let (conn, ()) = tokio::join!(connector.serve(connect("example.com:443", Route::default())), async {
        let dial = dials.next().await;
        assert_eq!(dial.input.target.to_string(), "example.com:443");
        dial.responder.respond(Ok(Conn::new(pipe().0)));
    });
    assert!(conn.is_ok() && hops.try_next().is_none());
}

/// PRX-01: the proxy's credentials stand in the request for the tunnel, and nowhere in what goes through it. Waits:
/// redirects.
#[tokio::test]
async fn a_tunnel_is_asked_of_the_proxy_alone() {
    let (mut far, near) = pipe();
    let mut answer = Response::new(Body::empty());
    Upgraded::attach(Conn::new(Box::new(near)), &mut answer);
    let (hop, asked, conn) = through("https://ana:secret@proxy.example:3128", host("example.com:443"), answer).await;

    assert_eq!(hop.target.to_string(), "proxy.example:3128");
    assert!(hop.protocol.is_secure());
    // What the route says about the target is not for the hop; the rest is.
    assert_eq!(hop.route, Route::default().with(Interface("eth1")));

    assert_eq!((asked.method().as_str(), asked.uri().to_string().as_str()), ("CONNECT", "example.com:443"));
    assert_eq!(asked.headers()["host"], "example.com:443");
    // printf %s ana:secret | base64
    assert_eq!(asked.headers()["proxy-authorization"], "Basic YW5hOnNlY3JldA==");
    assert!(asked.headers()["proxy-authorization"].is_sensitive());
    assert_eq!(asked.headers().len(), 2);

    let mut conn = conn.unwrap();
    conn.io.write_all(b"ping").await.unwrap();
    conn.io.shutdown().await.unwrap();
    let mut seen = Vec::new();
    far.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"ping", "nothing but the caller's bytes");
}

#[tokio::test]
async fn addresses_are_asked_for_as_authorities() {
    for (target, authority) in [
        (host("EXAMPLE.com:80"), "example.com:80"),
        (host("[2001:db8::1]:443"), "[2001:db8::1]:443"),
        (Target::Addr(([192, 0, 2, 1], 8443).into()), "192.0.2.1:8443"),
    ] {
        let (hop, asked, _) = through("http://proxy.example:3128", target, Response::new(Body::empty())).await;
        assert!(!hop.protocol.is_secure());
        assert_eq!(asked.uri().to_string(), authority);
        assert!(!asked.headers().contains_key("proxy-authorization"));
    }
    let (connector, mut hops, _dials) = connector();
    let route = Route::default().with("http://proxy.example".parse::<HttpProxy>().unwrap());
    let unix = Connect::new(Target::Unix("/run/x".into())).with_route(route);
    assert_eq!(connector.serve(unix).await.unwrap_err().stage(), ConnectStage::Config);
    assert!(hops.try_next().is_none());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_with_what_it_says() {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = http::StatusCode::FORBIDDEN;
    answer.headers_mut().insert("proxy-status", "p; error=destination_ip_prohibited".parse().unwrap());
    let known = Extensions::new();
    known.insert(7_u32);
    answer.set_scope(known.fork());
    let (_, _, result) = through("http://proxy.example:3128", host("example.com:443"), answer).await;

    let error = result.unwrap_err();
    assert_eq!((error.stage(), error.another_route()), (ConnectStage::Proxy, true));
    assert!(error.to_string().contains("proxy.example:3128"), "{error}");
    assert_eq!(
        find_cause::<ProxyRefused>(&error).unwrap().to_string(),
        "the proxy answered 403 Forbidden (p; error=destination_ip_prohibited)"
    );
    assert_eq!(error.scope().get(), Some(&7_u32), "what was learned of the proxy's connection");
}

#[tokio::test]
async fn a_proxy_that_does_not_answer_is_at_fault() {
    let (connector, mut hops, _dials) = connector();
    let route = Route::default().with("http://proxy.example:3128".parse::<HttpProxy>().unwrap());
    let (result, ()) = tokio::join!(connector.serve(connect("example.com:443", route)), async {
        let hop = hops.next().await;
        let (session, mut sent) = session();
        hop.responder.respond(Ok(session));
        sent.next().await.responder.respond(Err(SendError::unknown("reset by peer")));
    });
    let error = result.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Proxy);
    assert!(chaski_core::display_chain(&error).to_string().contains("reset by peer"));
}

#[test]
fn both_ways_are_described() {
    let proxies = service_fn(async |_: Connect| Ok::<_, ConnectError>(session().0));
    let direct = service_fn(async |_: Connect| Ok::<_, ConnectError>(Conn::new(pipe().0)));
    let tree = describe::<Connect, _>(&HttpProxyConnector::new(proxies, direct)).to_string();
    assert!(tree.contains("proxies") && tree.contains("direct"), "{tree}");
}
