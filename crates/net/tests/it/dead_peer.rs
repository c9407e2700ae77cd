//! A peer that vanishes without a word: frames get lost on the cable to it.

use std::{io, time::Duration};

use chaski_core::{Conn, Connect, Service, Shutdown, service_fn};
use chaski_net::{Dialer, SocketOptions, TcpListener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    cable::{Cable, FAR, role},
    support::{input_ended, needs},
};

const NAME: &str = "dead_peer::net_10_a_peer_that_vanished_is_noticed_in_seconds";

/// NET-10: with limits of seconds, an idle connection fails by keepalive and one with data under way by `TCP_USER_TIMEOUT`;
/// the systems' own limits are two hours and a quarter of one, far beyond the guard of this test.
#[tokio::test]
async fn net_10_a_peer_that_vanished_is_noticed_in_seconds() {
    match role().as_deref() {
        Some("server") => return server().await,
        Some(addr) => return client(addr).await,
        None => {}
    }
    needs!(NAME, "ip");
    let Some(cable) = Cable::lay(NAME) else { return };
    let mut server = cable.run_far("server");
    let addr = server.line_with("listening on ").await;
    let mut client = cable.run_near(&addr);
    client.line_with("connected").await;
    cable.lose_what_is_sent();
    client.close_input();
    assert_eq!(client.line_with("written to: ").await, "TimedOut");
    assert_eq!(client.line_with("idle: ").await, "TimedOut");
    client.succeeds().await;
}

/// Accepts, and says nothing.
async fn server() {
    let listener = TcpListener::bind((FAR, 0)).await.unwrap();
    println!("\nlistening on {}", listener.local_addr().unwrap());
    let wait = service_fn(async |mut conn: Conn<TcpStream>| conn.io.read_to_end(&mut Vec::new()).await);
    listener.serve(wait, &Shutdown::new()).await;
}

async fn client(addr: &str) {
    let second = Duration::from_secs(1);
    // Each has one of the two means alone, so that neither stands in for the other.
    let user_timeout = SocketOptions::default().with_keepalive(None).with_user_timeout(2 * second);
    let keepalive = SocketOptions::default().with_keepalive(second).with_keepalive_probes(second, 2);
    let mut written_to = dial(addr, user_timeout).await;
    let idle = dial(addr, keepalive).await;
    println!("\nconnected");
    input_ended().await;
    written_to.write_all(b"hello?").await.unwrap();
    let (written_to, idle) = tokio::join!(failure(written_to), failure(idle));
    println!("\nwritten to: {written_to:?}\nidle: {idle:?}");
}

async fn dial(addr: &str, options: SocketOptions) -> TcpStream {
    let connect = Connect::new(addr.parse::<std::net::SocketAddr>().unwrap());
    Dialer::new().with_options(options).serve(connect).await.unwrap().io
}

async fn failure(mut stream: TcpStream) -> io::ErrorKind {
    stream.read_u8().await.unwrap_err().kind()
}
