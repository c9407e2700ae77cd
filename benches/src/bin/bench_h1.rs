//! `bench-h1 PORT THREADS [without-facts] [per-core]`: an HTTP/1.1 server with the defaults of every layer, or with these
//! settings. It says `Hello, World!`, sends bodies of `/1k`, `/64k` and `/1m`, and counts the bytes of what is sent to
//! `/upload`.

use std::num::NonZeroUsize;

use chaski::{
    BoxError, Shutdown,
    http1::Http1Server,
    net::{TcpListener, Workers},
    service_fn,
};
use chaski_benches::answer;

fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [port, threads, settings @ ..] = args.as_slice() else {
        return Err("usage: bench-h1 PORT THREADS [without-facts] [per-core]".into());
    };
    let (port, threads): (u16, NonZeroUsize) = (port.parse()?, threads.parse()?);
    let is_set = |name: &str| settings.iter().any(|setting| setting == name);
    let (facts, workers) = (!is_set("without-facts"), is_set("per-core").then(|| Workers::new(threads)).transpose()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads.get()).enable_all().build()?;
    // The accept loop runs on a worker, beside the connections, not on the thread that waits for it.
    runtime.block_on(runtime.spawn(serve(port, facts, workers)))?
}

async fn serve(port: u16, facts: bool, workers: Option<Workers>) -> Result<(), BoxError> {
    let mut listener = TcpListener::bind(("127.0.0.1", port)).await?;
    if !facts {
        listener = listener.without_facts();
    }
    let server = Http1Server::new(service_fn(answer));
    match workers {
        Some(workers) => workers.serve(listener, server, &Shutdown::new()).await?,
        None => listener.serve(server, &Shutdown::new()).await,
    }
    Ok(())
}
