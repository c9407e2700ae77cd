//! `bench-auto PORT THREADS [CERTDIR]`: a server for HTTP/1 and HTTP/2 with the defaults of every layer; over TLS with the
//! certificate and key of a folder, `cert.pem` and `key.pem`. What it answers is what `bench-h1` does.

use std::{num::NonZeroUsize, path::Path};

use chaski::{
    BoxError, Shutdown,
    net::TcpListener,
    service_fn, stack,
    stacks::HttpServer,
    tls::{AcceptLayer, CertifiedKey, ServerConfig},
};
use chaski_benches::answer;

fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (port, threads, folder) = match args.as_slice() {
        [port, threads] => (port, threads, None),
        [port, threads, folder] => (port, threads, Some(Path::new(folder))),
        _ => return Err("usage: bench-auto PORT THREADS [CERTDIR]".into()),
    };
    let (port, threads): (u16, NonZeroUsize) = (port.parse()?, threads.parse()?);
    let tls = folder.map(tls).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads.get()).enable_all().build()?;
    // The accept loop runs on a worker, beside the connections, not on the thread that waits for it.
    runtime.block_on(runtime.spawn(serve(port, tls)))?
}

fn tls(folder: &Path) -> Result<AcceptLayer, BoxError> {
    let key = CertifiedKey::from_files(folder.join("cert.pem"), folder.join("key.pem"))?;
    Ok(AcceptLayer::new(ServerConfig::new(key).with_alpn(HttpServer::<()>::ALPN))?)
}

async fn serve(port: u16, tls: Option<AcceptLayer>) -> Result<(), BoxError> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let server = HttpServer::new(service_fn(answer));
    match tls {
        Some(tls) => listener.serve(stack(tls, server), &Shutdown::new()).await,
        None => listener.serve(server, &Shutdown::new()).await,
    }
    Ok(())
}
