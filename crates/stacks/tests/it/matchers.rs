//! Tests of addresses and tests of anything else, put together.

use std::{convert::Infallible, net::SocketAddr};

use chaski_core::{Conn, Connect, HostPort, Service, Shutdown, SocketAddrs, branch, service_fn, stack};
use chaski_middleware::{
    HijackLayer,
    matcher::{and, not, or},
};
use chaski_net::{
    Dialer, TcpListener,
    matcher::{in_any, local, loopback, peer, port, ports, private},
    memory,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

fn conn(local: &str, peer: &str) -> Conn<()> {
    let conn = Conn::new(());
    conn.ext.insert(SocketAddrs { local: local.parse().unwrap(), peer: peer.parse().unwrap() });
    conn
}

#[tokio::test]
async fn tests_of_addresses_are_put_together_on_either_side() {
    let office = in_any(["192.0.2.0/24".parse().unwrap()]);
    // Within one end: tests of an address. Around them: tests of a connection.
    let admin = and(local(port(8443)), or(peer(or(loopback, private)), peer(and(office, not(ports(..1024))))));
    let service = stack(
        HijackLayer::new(admin, service_fn(async |_: Conn<()>| Ok::<_, Infallible>("admin"))),
        branch(
            not(local(port(80))),
            service_fn(async |_| Ok::<_, Infallible>("other")),
            service_fn(async |_| Ok::<_, Infallible>("web")),
        ),
    );
    for (local, peer, expected) in [
        ("10.0.0.1:8443", "127.0.0.1:50000", "admin"),
        ("10.0.0.1:8443", "[::ffff:10.0.0.2]:50000", "admin"),
        ("10.0.0.1:8443", "192.0.2.9:50000", "admin"),
        ("10.0.0.1:8443", "192.0.2.9:1000", "other"),
        ("10.0.0.1:8443", "198.51.100.1:50000", "other"),
        ("10.0.0.1:80", "127.0.0.1:50000", "web"),
    ] {
        assert_eq!(service.serve(conn(local, peer)).await, Ok(expected), "{local} {peer}");
    }
}

/// A connection in memory has no addresses: a negation within the end does not hold for it, one around it does.
#[tokio::test]
async fn where_a_negation_stands_decides_about_connections_without_addresses() {
    let strangers_within = peer(not(loopback));
    let strangers_around = not(peer(loopback));
    for (conn, within, around) in [
        (conn("10.0.0.1:80", "127.0.0.1:1"), false, false),
        (conn("10.0.0.1:80", "192.0.2.7:1"), true, true),
        (Conn::new(()), false, true),
    ] {
        assert_eq!((strangers_within(&conn), strangers_around(&conn)), (within, around), "{conn:?}");
    }
}

/// The facts are those that the listeners record.
#[tokio::test]
async fn real_listeners_feed_the_tests() {
    async fn say<S: AsyncRead + AsyncWrite + Unpin>(mut conn: Conn<S>, word: &str) -> std::io::Result<()> {
        conn.io.write_all(word.as_bytes()).await
    }

    let shutdown = Shutdown::new();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = tcp.local_addr().unwrap();
    let (memory, connector) = memory::listen("in memory");
    let here = branch(
        and(peer(loopback), local(port(addr.port()))),
        service_fn(async |conn| say(conn, "here").await),
        service_fn(async |conn| say(conn, "elsewhere").await),
    );
    let nowhere = branch(
        peer(|_: &SocketAddr| true),
        service_fn(async |conn| say(conn, "somewhere").await),
        service_fn(async |conn| say(conn, "nowhere").await),
    );
    let talks = async {
        let mut words = [String::new(), String::new()];
        let mut conn = Dialer::new().serve(Connect::new(addr)).await.unwrap();
        conn.io.read_to_string(&mut words[0]).await.unwrap();
        let target: HostPort = "a.test:80".parse().unwrap();
        let mut conn = connector.serve(Connect::new(target)).await.unwrap();
        conn.io.read_to_string(&mut words[1]).await.unwrap();
        shutdown.begin();
        words
    };
    let (words, _, _) = tokio::join!(talks, tcp.serve(here, &shutdown), memory.serve(nowhere, &shutdown));
    assert_eq!(words, ["here", "nowhere"]);
}
