//! What the programs on rama share.

use std::error::Error;

use rama::{
    Service,
    rt::Executor,
    service::service_fn,
    tcp::{TcpStream, server::TcpListener},
};

/// The program's arguments but its name, of which there are at least two: port and threads.
pub fn arguments(usage: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.len() < 2 {
        return Err(format!("usage: {usage}").into());
    }
    Ok(arguments)
}

/// Serves connections on loopback, on a worker of tokio's multi-thread runtime, beside its connections.
pub fn run<S>(port: &str, threads: &str, service: S) -> Result<(), Box<dyn Error>>
where
    S: Service<TcpStream, Error: Sync> + Clone,
{
    let address = format!("127.0.0.1:{port}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads.parse()?).enable_all().build()?;
    runtime
        .block_on(runtime.spawn(async move {
            let listener = TcpListener::bind_address(address.as_str(), Executor::default()).await?;
            let serve = service_fn(move |connection: TcpStream| {
                let service = service.clone();
                async move {
                    // rama leaves Nagle's algorithm on.
                    drop(connection.stream.set_nodelay(true));
                    service.serve(connection).await
                }
            });
            listener.serve(serve).await;
            Ok::<_, rama::error::BoxError>(())
        }))?
        .map_err(|error| error.to_string().into())
}
