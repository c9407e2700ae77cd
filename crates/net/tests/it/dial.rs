#[cfg(target_os = "linux")]
use std::{io, net::IpAddr};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use chaski_core::{Connect, ConnectStage, EffectiveSocketOptions, HostPort, Service, SocketAddrs, find_cause};
#[cfg(target_os = "linux")]
use chaski_core::{Route, service_fn};
#[cfg(target_os = "linux")]
use chaski_net::{Addrs, LocalAddr, Lookup};
use chaski_net::{DialReport, Dialer, SocketOptionError, SocketOptions, TcpListener};
use socket2::SockRef;

/// NET-01: on both ends of a dialed connection, as the kernel tells.
#[tokio::test]
async fn net_01_nodelay_on_both_ends_of_a_dial() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let options = SocketOptions::default().with_keepalive(Duration::from_secs(77));
    let conn = Dialer::new().with_options(options).serve(Connect::new(addr)).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    for end in [&conn, &accepted] {
        assert!(SockRef::from(&end.io).tcp_nodelay().unwrap());
        assert!(end.ext.get::<EffectiveSocketOptions>().unwrap().nodelay);
    }
    assert!(SockRef::from(&conn.io).keepalive().unwrap());
    assert_eq!(conn.ext.get::<EffectiveSocketOptions>().unwrap().keepalive, Some(Duration::from_secs(77)));
    let (here, there) = (conn.ext.get::<SocketAddrs>().unwrap(), accepted.ext.get::<SocketAddrs>().unwrap());
    assert_eq!((here.local, here.peer), (there.peer, there.local));
}

/// NET-04: a socket of IPv4 is used, so it works on machines without IPv6.
#[tokio::test]
async fn net_04_a_mapped_target_connects_over_ipv4() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let target: HostPort = format!("[::ffff:127.0.0.1]:{port}").parse().unwrap();
    let conn = Dialer::new().serve(Connect::new(target)).await.unwrap();
    assert!(conn.io.local_addr().unwrap().is_ipv4() && conn.io.peer_addr().unwrap().is_ipv4());
}

/// NET-03: what real sockets answer is reported for every address.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn net_03_every_refusal_is_reported() {
    // Bound, so that nobody else can have the port, and not listening.
    let taken = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    taken.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).unwrap();
    let port = taken.local_addr().unwrap().as_socket().unwrap().port();
    let resolver = service_fn(async |_: Lookup| {
        Ok::<_, io::Error>(
            ["127.0.0.81", "127.0.0.82"].map(|ip| ip.parse::<IpAddr>().unwrap()).into_iter().collect::<Addrs>(),
        )
    });
    let connect = Connect::new(HostPort::new("refused.test".parse::<chaski_core::Domain>().unwrap(), port));
    let error = Dialer::new().with_resolver(resolver).serve(connect).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Dial);
    let refusals: Vec<_> = error
        .attempts()
        .iter()
        .map(|attempt| (attempt.addr.ip().to_string(), attempt.error.downcast_ref::<io::Error>().unwrap().kind()))
        .collect();
    let refused = io::ErrorKind::ConnectionRefused;
    assert_eq!(refusals, [("127.0.0.81".to_owned(), refused), ("127.0.0.82".to_owned(), refused)]);
}

#[tokio::test]
async fn a_name_is_resolved_by_the_system_and_connected() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    // Localhost may be IPv6 first: then the refusal there leads to IPv4.
    let connect = Connect::new(HostPort::new("localhost".parse::<chaski_core::Domain>().unwrap(), addr.port()));
    let scope = connect.ext.clone();
    let conn = Dialer::new().serve(connect).await.unwrap();
    assert_eq!(conn.io.peer_addr().unwrap(), addr);
    assert_eq!(scope.get::<DialReport>().unwrap().chosen(), Some(addr));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_local_address_is_bound() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let from: IpAddr = "127.0.0.9".parse().unwrap();
    let connect = Connect::new(listener.local_addr().unwrap()).with_route(Route::default().with(LocalAddr(from)));
    let conn = Dialer::new().serve(connect).await.unwrap();
    assert_eq!(conn.io.local_addr().unwrap().ip(), from);
    let accepted: SocketAddr = listener.accept().await.unwrap().io.peer_addr().unwrap();
    assert_eq!(accepted.ip(), from);
}

/// Before the handshake: the SYN has them already.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn class_and_interface_are_set_on_dialed_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = SocketOptions::default().with_traffic_class(0xb8).with_device("lo");
    let dialer = Dialer::new().with_options(options);
    let conn = dialer.serve(Connect::new(listener.local_addr().unwrap())).await.unwrap();
    let socket = SockRef::from(&conn.io);
    assert_eq!((socket.tos_v4().unwrap(), socket.device().unwrap().as_deref()), (0xb8, Some(&b"lo"[..])));
    let effective = conn.ext.get::<EffectiveSocketOptions>().unwrap();
    assert_eq!((effective.traffic_class, effective.device.as_deref()), (Some(0xb8), Some("lo")));
}

/// Every attempt says which option, which value, and why.
#[tokio::test]
async fn an_option_that_is_refused_fails_the_dial_and_is_named() {
    let dialer = Dialer::new().with_options(SocketOptions::default().with_device("nowhere9"));
    let error = dialer.serve(Connect::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)))).await.unwrap_err();
    assert_eq!(error.stage(), ConnectStage::Dial);
    let text = error.to_string();
    assert!(text.starts_with("cannot connect: 127.0.0.1:9 (127.0.0.1:9: SO_BINDTODEVICE nowhere9: "), "{text}");
    let refused = find_cause::<SocketOptionError>(&error).unwrap();
    assert_eq!((refused.option, refused.value.as_str()), ("SO_BINDTODEVICE", "nowhere9"));
}
