//! TCP Fast Open, between two machines that allow it.

use std::fs;

use chaski_core::{Conn, Connect, HostPort, Service, Shutdown, service_fn};
use chaski_net::{Dialer, SocketOptions, TcpListener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    cable::{Cable, FAR, role},
    support::needs,
};

const NAME: &str = "fast_open::what_is_written_first_travels_with_the_syn";

#[tokio::test]
async fn what_is_written_first_travels_with_the_syn() {
    match role().as_deref() {
        Some("server") => return server().await,
        Some(port) => return client(port).await,
        None => {}
    }
    needs!(NAME, "ip");
    let Some(cable) = Cable::lay(NAME) else { return };
    let mut server = cable.run_far("server");
    let port = server.line_with("listening on port ").await;
    let mut client = cable.run_near(&port);
    // The first connection fetches the cookie.
    assert_eq!(client.line_with("fast after 1: ").await, "0");
    assert_eq!(client.line_with("fast after 2: ").await, "1");
    assert_eq!(client.line_with("fast after 3, without the option: ").await, "1");
    client.succeeds().await;
}

/// RFC 7413 on both sides, for this namespace alone.
fn allow() {
    fs::write("/proc/sys/net/ipv4/tcp_fastopen", "3").unwrap();
}

/// How many connections of this namespace sent data with their SYN and had it acknowledged.
fn fast() -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:")).map(str::split_whitespace);
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    let (_, value) = names.zip(values).find(|(name, _)| *name == "TCPFastOpenActive").unwrap();
    value.parse().unwrap()
}

/// Sends back what it reads, to the end.
async fn server() {
    allow();
    let options = SocketOptions::default().with_fast_open(16);
    let listener = TcpListener::bind_with((FAR, 0), options).await.unwrap();
    println!("\nlistening on port {}", listener.local_addr().unwrap().port());
    let echo = service_fn(async |mut conn: Conn<TcpStream>| {
        let (mut from, mut to) = conn.io.split();
        tokio::io::copy(&mut from, &mut to).await.map(drop)
    });
    listener.serve(echo, &Shutdown::new()).await;
}

async fn client(port: &str) {
    allow();
    let dialer = |on| Dialer::new().with_options(SocketOptions::default().with_fast_open_connect(on));
    let (fast_dialer, plain) = (dialer(true), dialer(false));
    for (n, dialer) in [("1", &fast_dialer), ("2", &fast_dialer), ("3, without the option", &plain)] {
        let target: HostPort = format!("{FAR}:{port}").parse().unwrap();
        let mut conn = dialer.serve(Connect::new(target)).await.unwrap();
        conn.io.write_all(b"early").await.unwrap();
        conn.io.shutdown().await.unwrap();
        let mut text = String::new();
        conn.io.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "early");
        println!("\nfast after {n}: {}", fast());
    }
}
