//! `hyper-auto PORT THREADS [CERTDIR]`: the server of `bench-auto` on hyper; over TLS with `cert.pem` and `key.pem` of a
//! folder. In clear the first bytes decide on the version, under TLS what was negotiated does.

use std::{error::Error, path::Path, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Bodies of `/1k`, `/64k` and `/1m` are slices of it.
static FILLING: [u8; 1 << 20] = [b'x'; 1 << 20];

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (port, threads, folder) = match args.as_slice() {
        [port, threads] => (port, threads, None),
        [port, threads, folder] => (port, threads, Some(Path::new(folder))),
        _ => return Err("usage: hyper-auto PORT THREADS [CERTDIR]".into()),
    };
    let (port, threads): (u16, usize) = (port.parse()?, threads.parse()?);
    let tls = folder.map(tls).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(runtime.spawn(serve(port, tls)))??;
    Ok(())
}

fn tls(folder: &Path) -> Result<TlsAcceptor, BoxError> {
    let certificates = CertificateDer::pem_file_iter(folder.join("cert.pem"))?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    // Named, since another program of this workspace may have compiled a second one in.
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(port: u16, tls: Option<TlsAcceptor>) -> std::io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        match tls.clone() {
            Some(tls) => drop(tokio::spawn(encrypted(tls, stream))),
            None => drop(tokio::spawn(clear(stream))),
        }
    }
}

async fn clear(stream: TcpStream) {
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn encrypted(tls: TlsAcceptor, stream: TcpStream) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (io, service) = (TokioIo::new(stream), service_fn(answer));
    let _ = match is_h2 {
        true => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
        false => http1::Builder::new().serve_connection(io, service).await,
    };
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let body = match request.uri().path() {
        "/0" => Bytes::new(),
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
