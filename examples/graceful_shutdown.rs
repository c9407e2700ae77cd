//! A server that stops gracefully at SIGTERM or Ctrl-C: it refuses new connections, lets those under way finish, cuts
//! what is left at a deadline, and tells by its exit code whether anything was cut.
//!
//! ```sh
//! cargo run -p chaski-examples --bin graceful-shutdown -- 127.0.0.1:8080 5000
//! curl http://127.0.0.1:8080/wait &    # is answered when the server stops
//! curl http://127.0.0.1:8080/stuck &   # never ends, and is cut after 5000 milliseconds
//! ```
#![expect(clippy::print_stdout, reason = "an example talks on its terminal")]

use std::{convert::Infallible, process::ExitCode, time::Duration};

use chaski::{
    BoxError, Shutdown, ShutdownSignal,
    http::{Body, Message, Request, Response},
    http1::Http1Server,
    net::TcpListener,
    service_fn,
};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let mut args = std::env::args().skip(1);
    let addr = args.next().unwrap_or("127.0.0.1:0".to_owned());
    let limit = Duration::from_millis(args.next().unwrap_or("10000".to_owned()).parse()?);
    // Before the first connection: a signal that comes early must not be lost.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);

    let shutdown = Shutdown::new();
    tokio::select! {
        () = listener.serve(Http1Server::new(service_fn(answer)), &shutdown) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    // The listener was dropped with its future: from here on nobody gets in. Idle connections close now.
    let report = shutdown.drain(limit).await;
    println!("{} drained, {} cut", report.drained, report.cut);
    Ok(if report.cut == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn answer(request: Request) -> Result<Response, Infallible> {
    match request.uri().path() {
        // A handler that could go on for long, and ends early when it is told. The signal is a fact of the connection.
        "/wait" => {
            println!("waiting");
            if let Some(signal) = request.fact::<ShutdownSignal>() {
                signal.draining().await;
            }
            Ok(Response::new(Body::full("the server stops\n")))
        }
        // One that does not listen is cut: its future is dropped, and the connection closed.
        "/stuck" => {
            println!("stuck");
            std::future::pending().await
        }
        _ => Ok(Response::new(Body::full("hello\n"))),
    }
}
