//! A process that runs out of file descriptors: this test binary runs itself again, under `ulimit`.

use std::io;

use chaski_core::{Conn, Shutdown, service_fn};
use chaski_net::TcpListener;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Again, LONG, input_ended};

const CHILD: &str = "CHASKI_NET_DESCRIPTORS_CHILD";

/// NET-14: with descriptors for some 30 connections, 100 clients come. The server neither exits nor spins, and serves all as
/// descriptors come back.
#[tokio::test]
async fn net_14_a_server_out_of_descriptors_recovers() {
    if std::env::var_os(CHILD).is_some() {
        return child().await;
    }
    let mut server = start();
    let addr = server.line_with("listening on ").await;

    // The backlog takes them all, whatever the server can accept.
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(BufReader::new(TcpStream::connect(&addr).await.unwrap()));
    }
    // The server has met its limit, and waits longer each time.
    for pause in ["5ms", "10ms", "20ms", "40ms", "80ms"] {
        let line = server.line_with("cannot accept connections for now ").await;
        assert_eq!(line, format!("error=Too many open files (os error 24) pause={pause}"));
    }
    // Each client has its turn when those before it have closed, which frees descriptors.
    for mut client in clients {
        let mut greeting = String::new();
        timeout(LONG, client.read_line(&mut greeting)).await.unwrap().unwrap();
        assert_eq!(greeting, "hello\n");
    }

    server.close_input();
    server.line_with("served all").await;
    server.succeeds().await;
}

/// The server: greets, keeps the connection until the client closes, ends with its standard input.
async fn child() {
    tracing_subscriber::fmt().with_writer(io::stdout).without_time().with_ansi(false).init();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\nlistening on {}", listener.local_addr().unwrap());
    let shutdown = Shutdown::new();
    let signal = shutdown.clone();
    let greet = service_fn(async |mut conn: Conn<TcpStream>| {
        conn.io.write_all(b"hello\n").await?;
        conn.io.read_to_end(&mut Vec::new()).await
    });
    let server = tokio::spawn(async move { listener.serve(greet, &signal).await });
    input_ended().await;
    assert_eq!(shutdown.drain(LONG).await.cut, 0);
    server.await.unwrap();
    println!("\nserved all");
}

/// The server in a process of its own.
fn start() -> Again {
    let test = "descriptors::net_14_a_server_out_of_descriptors_recovers";
    Again::start(
        std::process::Command::new("sh")
            .args(["-c", r#"ulimit -n 40 && exec "$0" --exact "$1" --nocapture"#])
            .arg(std::env::current_exe().unwrap())
            .arg(test)
            .env(CHILD, "1"),
    )
}
