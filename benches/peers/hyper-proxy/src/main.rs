//! `hyper-proxy PORT THREADS [UPSTREAM]`: a proxy on hyper and the pooled client of hyper-util. With an upstream it hands
//! every request on to that; without, it is a forward proxy for requests in absolute-form and for CONNECT.

use std::{error::Error, io, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{Either, Empty};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::HeaderValue,
    http::uri::{Authority, Scheme},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::{TcpListener, TcpStream};

type Answer = Response<Either<Incoming, Empty<Bytes>>>;

/// Fields that are for one hop.
const HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(port), Some(threads)) = (args.next(), args.next()) else {
        return Err("usage: hyper-proxy PORT THREADS [UPSTREAM]".into());
    };
    let (port, threads): (u16, usize) = (port.parse()?, threads.parse()?);
    let upstream = args.next().map(|upstream| upstream.parse()).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(runtime.spawn(serve(port, upstream)))??;
    Ok(())
}

async fn serve(port: u16, upstream: Option<Authority>) -> io::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(1024).build(connector);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let proxy = Proxy { client: client.clone(), upstream: upstream.clone(), peer };
        let answer = service_fn(move |request| proxy.clone().answer(request));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades());
    }
}

#[derive(Clone)]
struct Proxy {
    client: Client<HttpConnector, Incoming>,
    upstream: Option<Authority>,
    peer: SocketAddr,
}

impl Proxy {
    async fn answer(self, request: Request<Incoming>) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        if self.upstream.is_none() && request.method() == Method::CONNECT {
            return tunnel(request).await;
        }
        self.forward(request).await
    }

    async fn forward(self, mut request: Request<Incoming>) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        strip(request.headers_mut());
        if let Some(upstream) = self.upstream {
            let mut uri = std::mem::take(request.uri_mut()).into_parts();
            uri.scheme = Some(Scheme::HTTP);
            uri.authority = Some(upstream);
            *request.uri_mut() = Uri::from_parts(uri)?;
            let peer = HeaderValue::from_str(&self.peer.ip().to_string())?;
            request.headers_mut().insert("x-forwarded-for", peer);
        }
        match self.client.request(request).await {
            Ok(mut response) => {
                strip(response.headers_mut());
                Ok(response.map(Either::Left))
            }
            Err(_) => Ok(bare(StatusCode::BAD_GATEWAY)),
        }
    }
}

async fn tunnel(request: Request<Incoming>) -> Result<Answer, Box<dyn Error + Send + Sync>> {
    let Some(target) = request.uri().authority().map(Authority::to_string) else {
        return Ok(bare(StatusCode::BAD_REQUEST));
    };
    let Ok(mut server) = TcpStream::connect(target).await else {
        return Ok(bare(StatusCode::BAD_GATEWAY));
    };
    server.set_nodelay(true)?;
    tokio::spawn(async move {
        let mut client = TokioIo::new(hyper::upgrade::on(request).await.map_err(io::Error::other)?);
        tokio::io::copy_bidirectional(&mut client, &mut server).await
    });
    Ok(bare(StatusCode::OK))
}

fn bare(status: StatusCode) -> Answer {
    let mut response = Response::new(Either::Right(Empty::new()));
    *response.status_mut() = status;
    response
}

fn strip(headers: &mut HeaderMap) {
    for name in HOP {
        headers.remove(name);
    }
}
