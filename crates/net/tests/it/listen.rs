use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use chaski_core::{
    Conn, EffectiveSocketOptions, Shutdown, ShutdownSignal, SocketAddrs, display_chain, service_fn, service_fn_with,
};
use chaski_net::{SocketOptions, TcpListener, adopt};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

/// Whether each of the kernel's own answers agrees with the fact.
fn assert_nodelay(conn: &Conn<TcpStream>) {
    assert!(SockRef::from(&conn.io).tcp_nodelay().unwrap());
    assert!(conn.ext.get::<EffectiveSocketOptions>().unwrap().nodelay);
}

/// NET-01: on an accepted socket, and on one that the caller brings, tokio's or the standard library's, dialed ones being in
/// `dial`.
#[tokio::test]
async fn net_01_nodelay_on_accepted_and_adopted_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();

    let client = std::net::TcpStream::connect(addr).unwrap();
    let accepted = listener.accept().await.unwrap();
    assert_nodelay(&accepted);
    assert!(!client.nodelay().unwrap(), "what nobody has set is off");
    let adopted = adopt(client, &SocketOptions::default()).unwrap();
    assert_nodelay(&adopted);
    let ends = adopted.ext.get::<SocketAddrs>().unwrap();
    assert_eq!((ends.local, ends.peer), (adopted.io.local_addr().unwrap(), addr));

    let client = TcpStream::connect(addr).await.unwrap();
    assert_nodelay(&adopt(client, &SocketOptions::default()).unwrap());

    // And off when asked for, even where it was on.
    let client = TcpStream::connect(addr).await.unwrap();
    client.set_nodelay(true).unwrap();
    let off = adopt(client, &SocketOptions::default().with_nodelay(false)).unwrap();
    assert!(!off.io.nodelay().unwrap() && !off.ext.get::<EffectiveSocketOptions>().unwrap().nodelay);
}

#[tokio::test]
async fn a_listener_serves_records_facts_and_ends_with_the_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = service_fn_with(tell, async |tell: mpsc::UnboundedSender<SocketAddrs>, mut conn: Conn<TcpStream>| {
        tell.send(*conn.ext.get::<SocketAddrs>().unwrap()).unwrap();
        conn.io.write_all(b"hello").await?;
        conn.ext.get::<ShutdownSignal>().unwrap().draining().await;
        conn.io.write_all(b", bye").await
    });
    let shutdown = Shutdown::new();
    let signal = shutdown.clone();
    let server = tokio::spawn(async move { listener.serve(service, &signal).await });

    let mut client = TcpStream::connect(addr).await.unwrap();
    let mut text = [0; 5];
    client.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"hello");
    let ends = told.recv().await.unwrap();
    assert_eq!((ends.local, ends.peer), (addr, client.local_addr().unwrap()));

    shutdown.begin();
    server.await.unwrap();
    let error = TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "the listening socket is closed");
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, ", bye", "connections under way go on");
    assert_eq!(shutdown.drain(Duration::from_secs(60)).await.cut, 0);
}

#[tokio::test]
async fn a_listener_can_record_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap().without_facts();
    let addr = listener.local_addr().unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = service_fn_with(tell, async |tell: mpsc::UnboundedSender<(bool, bool)>, conn: Conn<TcpStream>| {
        tell.send((conn.ext.is_empty(), conn.io.nodelay().unwrap())).unwrap();
        Ok::<_, Infallible>(())
    });
    tokio::spawn(async move { listener.serve(service, &Shutdown::new()).await });
    let _client = TcpStream::connect(addr).await.unwrap();
    assert_eq!(told.recv().await, Some((true, true)), "no facts, but the options all the same");
}

#[tokio::test]
async fn ipv4_peers_of_a_socket_for_both_families_are_ipv4() {
    let Ok(socket) = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None) else {
        println!("skipped: ipv4_peers_of_a_socket_for_both_families_are_ipv4 needs IPv6");
        return;
    };
    socket.set_only_v6(false).unwrap();
    let any: SocketAddr = "[::]:0".parse().unwrap();
    if socket.bind(&any.into()).is_err() {
        println!("skipped: ipv4_peers_of_a_socket_for_both_families_are_ipv4 needs IPv6");
        return;
    }
    socket.listen(1).unwrap();
    let listener = TcpListener::from_std(socket.into(), SocketOptions::default()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let conn = listener.accept().await.unwrap();
    let ends = conn.ext.get::<SocketAddrs>().unwrap();
    assert_eq!((ends.local, ends.peer), (client.peer_addr().unwrap(), client.local_addr().unwrap()));
}

/// `[::]` takes IPv4 too, or leaves it alone, as it was asked and not as the system likes it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_listener_takes_both_families_or_one() {
    let options = SocketOptions::default().with_traffic_class(0x48);
    let Ok(both) = TcpListener::bind_with("[::]:0", options.clone()).await else {
        println!("skipped: a_listener_takes_both_families_or_one needs IPv6");
        return;
    };
    let port = both.local_addr().unwrap().port();
    let _client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let conn = both.accept().await.unwrap();
    assert!(conn.ext.get::<SocketAddrs>().unwrap().peer.is_ipv4());
    // Its packets are those of IPv4, whatever its socket is.
    assert_eq!(SockRef::from(&conn.io).tos_v4().unwrap(), 0x48);
    assert_eq!(conn.ext.get::<EffectiveSocketOptions>().unwrap().traffic_class, Some(0x48));

    let one = TcpListener::bind_with("[::]:0", options.with_dual_stack(false)).await.unwrap();
    let port = one.local_addr().unwrap().port();
    let _client = TcpStream::connect(("::1", port)).await.unwrap();
    // A connection has this from its listener. (That IPv4 finds nobody there would be shown only as long as no other
    // program takes the port.)
    assert!(SockRef::from(&one.accept().await.unwrap().io).only_v6().unwrap());
}

#[tokio::test]
async fn an_option_that_is_refused_is_named() {
    let options = SocketOptions::default().with_device("nowhere9");
    let error = TcpListener::bind_with("127.0.0.1:0", options).await.unwrap_err();
    let text = display_chain(&error).to_string();
    assert!(text.starts_with("cannot listen on 127.0.0.1:0: SO_BINDTODEVICE nowhere9: "), "{text}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn listeners_share_a_port_only_when_asked_to() {
    let shared = SocketOptions::default().with_reuse_port(true).with_recv_buffer(65_536);
    let first = TcpListener::bind_with("127.0.0.1:0", shared.clone()).await.unwrap();
    let addr = first.local_addr().unwrap();
    assert!(TcpListener::bind_with(addr, shared).await.is_ok());
    let error = TcpListener::bind(addr).await.unwrap_err();
    assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    assert_eq!(error.to_string(), format!("cannot listen on {addr}"));
}

#[tokio::test]
async fn a_listener_describes_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap().with_max_connections(7);
    let tree = listener.describe(&service_fn(async |_: Conn<TcpStream>| Ok::<_, Infallible>(()))).to_string();
    let addr = listener.local_addr().unwrap();
    let facts = "SocketAddrs, EffectiveSocketOptions, ShutdownSignal";
    let head = format!("TcpListener bind={addr} max_connections=7  writes {facts}\n└─ service_fn");
    assert!(tree.starts_with(&head), "{tree}");
}

/// A server that was told "none" would run, accept nobody, and say nothing of it.
#[tokio::test]
async fn at_least_one_connection_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap().with_max_connections(0);
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let greet = service_fn(async |mut conn: Conn<TcpStream>| conn.io.write_all(b"hello").await);
    let greeted = async {
        let mut text = String::new();
        TcpStream::connect(addr).await.unwrap().read_to_string(&mut text).await.unwrap();
        text
    };
    tokio::select! {
        () = listener.serve(greet, &shutdown) => unreachable!("nobody has stopped it"),
        // Only a guard against hanging.
        text = tokio::time::timeout(Duration::from_secs(30), greeted) => assert_eq!(text.unwrap(), "hello"),
    }
}
