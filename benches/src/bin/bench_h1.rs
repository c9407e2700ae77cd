//! `bench-h1 PORT THREADS [without-facts]`: an HTTP/1.1 server with the defaults of every layer, but for facts about
//! connections where those are not wanted. It says `Hello, World!`, sends bodies of `/1k`, `/64k` and `/1m`, and counts the
//! bytes of what is sent to `/upload`.

use chaski::{
    BoxError, Shutdown,
    http::{Body, Request, Response},
    http1::Http1Server,
    net::TcpListener,
    service_fn,
};
use http::{HeaderValue, header::CONTENT_TYPE};

/// Bodies of `/1k`, `/64k` and `/1m` are slices of it.
static FILLING: [u8; 1 << 20] = [b'x'; 1 << 20];

fn main() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (args.next(), args.next()) else {
        return Err("usage: bench-h1 PORT THREADS [without-facts]".into());
    };
    let (port, threads): (u16, usize) = (port.parse()?, threads.parse()?);
    let facts = args.next().is_none_or(|word| word != "without-facts");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    // The accept loop runs on a worker, beside the connections, not on the thread that waits for it.
    runtime.block_on(runtime.spawn(serve(port, facts)))?
}

async fn serve(port: u16, facts: bool) -> Result<(), BoxError> {
    let mut listener = TcpListener::bind(("127.0.0.1", port)).await?;
    if !facts {
        listener = listener.without_facts();
    }
    listener.serve(Http1Server::new(service_fn(answer)), &Shutdown::new()).await;
    Ok(())
}

async fn answer(request: Request) -> Result<Response, BoxError> {
    let body = match request.uri().path() {
        "/1k" => Body::from(&FILLING[..1 << 10]),
        "/64k" => Body::from(&FILLING[..1 << 16]),
        "/1m" => Body::from(&FILLING[..]),
        "/upload" => Body::from(count(request.into_body()).await?.to_string()),
        _ => Body::from("Hello, World!"),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

async fn count(mut body: Body) -> Result<usize, BoxError> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            bytes += data.len();
        }
    }
    Ok(bytes)
}
