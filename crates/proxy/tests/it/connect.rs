use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use chaski_core::{
    BoxError, BoxIo, Bridge, Conn, Connect, ConnectError, ConnectStage, Elapsed, Extensions, Protocol, Refused, Route,
    Service, Target,
    http::{Body, Message, Request, Upgrade},
    service_fn, service_fn_with,
    test_util::{Pipe, mock, pipe},
};
use chaski_proxy::Tunnel;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};

use crate::support::{Bench, lines, request, text, unfailing};

#[derive(Debug, PartialEq)]
struct Side(&'static str);

fn scope(side: &'static str) -> Extensions {
    let ext = Extensions::new();
    ext.insert(Side(side));
    ext
}

/// H1-25: not answered before the target is connected; then a 2xx without body, length or coding.
#[tokio::test]
async fn h1_25_connect_is_answered_after_the_dial() {
    let Bench { proxy, client: _client, mut dialer, relay: _relay } = Bench::new();
    let mut sent = request("CONNECT", "db.example:5432", &["host: db.example:5432", "content-length: 0"]);
    sent.set_scope(scope("client"));
    let mut serving = Box::pin(proxy.serve(sent));
    let call = tokio::select! {
        biased;
        _ = &mut serving => panic!("answered before the dial"),
        call = dialer.next() => call,
    };
    assert_eq!(call.input.target, Target::Host("db.example:5432".parse().unwrap()));
    assert_eq!(call.input.protocol, Protocol::Tcp);
    assert!(call.input.route.is_default());
    assert_eq!(call.input.ext.get(), Some(&Side("client")));
    // Still nothing, though the dial is under way.
    tokio::select! {
        biased;
        _ = &mut serving => panic!("answered before the dial had succeeded"),
        () = std::future::ready(()) => {}
    }

    let (_server, io) = pipe();
    call.responder.respond(Ok(Conn { io, ext: scope("server") }));
    let mut response = unfailing(serving.await);
    assert_eq!(response.status(), 200);
    assert_eq!(lines(response.headers()), [""; 0]);
    assert_eq!(response.fact::<Side>(), Some(&Side("server")));
    assert!(Upgrade::detach(&mut response).is_some());
    assert_eq!(text(response).await, "");
}

/// H1-25: what the dial fails with decides the answer, and there is no tunnel.
#[tokio::test]
async fn h1_25_a_failed_dial_is_answered_by_its_cause() {
    let elapsed = || Elapsed { what: "the dial", limit: Duration::from_secs(5) };
    let cases = [
        (ConnectError::new(ConnectStage::Resolve), 502, "cannot resolve the name of db.example:443\n"),
        (ConnectError::new(ConnectStage::Dial), 502, "cannot connect to db.example:443\n"),
        (
            ConnectError::new(ConnectStage::Dial).with_source(elapsed()),
            504,
            "timed out while connecting to db.example:443\n",
        ),
        (ConnectError::new(ConnectStage::Timeout), 504, "timed out while connecting to db.example:443\n"),
        (
            ConnectError::new(ConnectStage::Policy).with_source(Refused::new("not here")),
            403,
            "refused to connect to db.example:443: not here\n",
        ),
        (ConnectError::new(ConnectStage::Config), 500, "this proxy is not set up to connect to db.example:443\n"),
    ];
    for (error, status, expected) in cases {
        let sent = request("CONNECT", "db.example:443", &[]);
        let (_, mut response) = Bench::new().dialed(sent, Err(error)).await;
        assert_eq!(response.status().as_u16(), status);
        assert!(Upgrade::detach(&mut response).is_none());
        assert_eq!(text(response).await, expected);
    }
}

/// A dialer under a layer with an error of its own is answered for, too.
#[tokio::test]
async fn a_dialer_may_fail_with_any_error() {
    let dialer = service_fn(async |_: Connect| {
        let elapsed = Elapsed { what: "the dial", limit: Duration::from_secs(5) };
        Err::<Conn<Pipe>, BoxError>(elapsed.into())
    });
    let tunnel = Tunnel::new(dialer, service_fn(async |_: Bridge<BoxIo, Pipe>| Ok::<_, BoxError>(())));
    let response = tunnel.serve(request("CONNECT", "a.example:1", &[])).await;
    assert_eq!(unfailing(response).status(), 504);
}

#[tokio::test]
async fn what_is_no_connect_request_is_refused_undialed() {
    let missing = "the target of CONNECT: missing port at byte 9 of \"a.example\"\n";
    let form = "the target of CONNECT is host:port\n";
    let userinfo = "the target of CONNECT: invalid character '@' in domain at byte 3 of \"ana@a.example:443\"\n";
    let content = "a CONNECT request has no content\n";
    let mut with_body = request("CONNECT", "a.example:443", &[]);
    *with_body.body_mut() = Body::full("GET / HTTP/1.1\r\n\r\n");
    let cases = [
        (request("CONNECT", "a.example", &[]), missing),
        (request("CONNECT", "a.example:0", &[]), "there is no port 0\n"),
        (request("CONNECT", "ana@a.example:443", &[]), userinfo),
        (request("CONNECT", "http://a.example:443/", &[]), form),
        (request("CONNECT", "/a.example:443", &[]), form),
        (request("CONNECT", "a.example:443", &["content-length: 18"]), content),
        (request("CONNECT", "a.example:443", &["transfer-encoding: chunked"]), content),
        (with_body, content),
    ];
    for (sent, expected) in cases {
        assert_eq!(Bench::new().refused(sent).await, (400, expected.to_owned()));
    }
}

#[tokio::test]
async fn an_address_is_dialed_as_it_was_asked_for() {
    for target in ["192.0.2.7:443", "[2001:db8::1]:443"] {
        let failed = Err(ConnectError::new(ConnectStage::Dial));
        let (connect, _) = Bench::new().dialed(request("CONNECT", target, &[]), failed).await;
        assert_eq!(connect.target, Target::Host(target.parse().unwrap()));
    }
}

#[tokio::test]
async fn a_route_chosen_above_goes_to_the_dialer() {
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct Uplink(u8);

    let mut sent = request("CONNECT", "a.example:7", &[]);
    sent.extensions_mut().insert(Route::default().with(Uplink(2)));
    let (connect, _) = Bench::new().dialed(sent, Err(ConnectError::new(ConnectStage::Dial))).await;
    assert_eq!(connect.route.choice::<Uplink>(), Some(&Uplink(2)));
}

/// The upgrade relays between the client's connection and the dialed one, each with its own scope.
#[tokio::test]
async fn a_tunnel_joins_both_sides() {
    let (upstream, io) = pipe();
    type Once = Arc<Mutex<Option<Pipe>>>;
    let dialer = service_fn_with(Arc::new(Mutex::new(Some(io))), async |io: Once, _: Connect| {
        let io = io.lock().unwrap().take().unwrap();
        Ok::<_, ConnectError>(Conn { io, ext: scope("server") })
    });
    let relay = service_fn(async |mut bridge: Bridge<BoxIo, Pipe>| {
        assert_eq!(bridge.a.ext.get(), Some(&Side("client")));
        assert_eq!(bridge.b.ext.get(), Some(&Side("server")));
        copy_bidirectional(&mut bridge.a.io, &mut bridge.b.io).await
    });
    let mut response = unfailing(Tunnel::new(dialer, relay).serve(request("CONNECT", "a.example:7", &[])).await);
    let (mut client, io) = pipe();
    let tunnel = Upgrade::detach(&mut response).unwrap();
    let io: BoxIo = Box::new(io);
    let engine = tunnel.run(Conn { io, ext: scope("client") });
    let client = async {
        client.write_all(b"ping").await.unwrap();
        client.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let server = async {
        let mut upstream = upstream;
        let mut question = String::new();
        upstream.read_to_string(&mut question).await.unwrap();
        // The client has ended its half; the answer still gets through.
        upstream.write_all(b"pong").await.unwrap();
        question
    };
    let ((), answer, question) = tokio::join!(engine, client, server);
    assert_eq!((&*question, &*answer), ("ping", "pong"));
}

#[tokio::test]
async fn a_response_that_is_dropped_closes_the_dialed_connection() {
    let mut bench = Bench::new();
    let (mut server, io) = pipe();
    let (_, response) = bench.dialed(request("CONNECT", "a.example:7", &[]), Ok(Conn::new(io))).await;
    drop(response);
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    assert!(bench.relay.try_next().is_none());
}

#[tokio::test]
async fn a_request_that_is_given_up_gives_up_the_dial() {
    let Bench { proxy, mut dialer, .. } = Bench::new();
    let mut serving = Box::pin(proxy.serve(request("CONNECT", "a.example:7", &[])));
    let mut call = tokio::select! {
        biased;
        _ = &mut serving => unreachable!("nobody has answered"),
        call = dialer.next() => call,
    };
    drop(serving);
    call.cancelled().await;
}

#[tokio::test]
async fn a_tunnel_alone_takes_nothing_but_connect() {
    let (dialer, mut dials) = mock::<Connect, Conn<Pipe>, BoxError>();
    let tunnel = Tunnel::new(dialer, service_fn(async |_: Bridge<BoxIo, Pipe>| Ok::<_, BoxError>(())));
    let get: Request = request("GET", "http://a.example/", &[]);
    let response = unfailing(tunnel.serve(get).await);
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "CONNECT");
    assert!(dials.try_next().is_none());
}
