//! `hyper-hello PORT THREADS [pipeline]`: the server of `bench-h1` on hyper; `pipeline` sets `pipeline_flush(true)`.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Bodies of `/1k`, `/64k` and `/1m` are slices of it.
static FILLING: [u8; 1 << 20] = [b'x'; 1 << 20];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (args.next(), args.next()) else {
        return Err("usage: hyper-hello PORT THREADS [pipeline]".into());
    };
    let (port, threads): (u16, usize) = (port.parse()?, threads.parse()?);
    let pipeline = args.next().is_some_and(|word| word == "pipeline");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(runtime.spawn(serve(port, pipeline)))??;
    Ok(())
}

async fn serve(port: u16, pipeline: bool) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(
            http1::Builder::new().pipeline_flush(pipeline).serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = match request.uri().path() {
        "/1k" => Bytes::from_static(&FILLING[..1 << 10]),
        "/64k" => Bytes::from_static(&FILLING[..1 << 16]),
        "/1m" => Bytes::from_static(&FILLING),
        "/upload" => count(request.into_body()).await?.to_string().into(),
        _ => Bytes::from_static(b"Hello, World!"),
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

async fn count(mut body: Incoming) -> Result<usize, hyper::Error> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(bytes)
}
