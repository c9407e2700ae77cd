//! A protocol of its own behind an HTTP upgrade: the server answers `101 Switching Protocols`, and from then on both
//! sides have the bare connection. Here the server says each line again, louder.
//!
//! ```sh
//! cargo run -p chaski-examples --bin upgrade -- serve 127.0.0.1:8080
//! cargo run -p chaski-examples --bin upgrade -- ask http://127.0.0.1:8080/ hello world
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, io};

use chaski::{
    BoxError, BoxIo, Conn, Service, Shutdown,
    http::{Body, Request, Response, Upgrade, Upgraded},
    http1::Http1Server,
    net::TcpListener,
    service_fn,
    stacks::http_client,
};
use http::{HeaderValue, StatusCode, header};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// The name of the protocol in the field Upgrade.
const SHOUT: &str = "shout";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("ask"), Some(url)) => ask(url, args.collect()).await,
        (Some("serve") | None, addr) => serve(addr.unwrap_or("127.0.0.1:0".to_owned())).await,
        _ => Err("usage: upgrade serve [ADDR], or upgrade ask URL WORD..".into()),
    }
}

async fn serve(addr: String) -> Result<(), BoxError> {
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    listener.serve(Http1Server::new(service_fn(switch)), &Shutdown::new()).await;
    Ok(())
}

async fn switch(request: Request) -> Result<Response, Infallible> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(SHOUT));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    if request.headers().get(header::UPGRADE).is_none_or(|asked| asked != SHOUT) {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return Ok(response);
    }
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    // Runs in the connection's own task once the head is sent, so a shutdown reaches it like any other work.
    Upgrade::new(async |conn| {
        if let Err(error) = shout(conn).await {
            println!("a conversation broke off: {error}");
        }
    })
    .attach(&mut response);
    Ok(response)
}

/// The server's side of the protocol. Bytes that came behind the request's head are read first.
async fn shout(conn: Conn<BoxIo>) -> io::Result<()> {
    let (read, mut write) = tokio::io::split(conn.io);
    // A line has a limit, here and everywhere: what the peer sends decides nothing about our memory.
    let mut lines = BufReader::new(read.take(64 * 1024)).lines();
    while let Some(line) = lines.next_line().await? {
        write.write_all(format!("{}!\n", line.to_uppercase()).as_bytes()).await?;
    }
    write.shutdown().await
}

/// The client's side: the response that switches carries the connection.
async fn ask(url: String, words: Vec<String>) -> Result<(), BoxError> {
    let request = Request::get(url).header("connection", "upgrade").header("upgrade", SHOUT).body(Body::empty())?;
    let mut response = http_client().serve(request).await?;
    let Some(Conn { mut io, .. }) = Upgraded::take(&mut response) else {
        return Err(format!("the server did not switch: {}", response.status()).into());
    };
    io.write_all(format!("{}\n", words.join("\n")).as_bytes()).await?;
    io.shutdown().await?;
    let mut answer = String::new();
    io.take(64 * 1024).read_to_string(&mut answer).await?;
    print!("{answer}");
    Ok(())
}
