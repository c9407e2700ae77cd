//! What a listener says of its stack when it begins to serve.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
};

use chaski_core::{Conn, Description, ServiceExt, Shutdown, service_fn};
use chaski_net::memory;
use tokio::io::DuplexStream;

#[derive(Debug)]
struct Tenant;

#[derive(Clone, Default)]
struct Traced(Arc<Mutex<Vec<u8>>>);

impl io::Write for Traced {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_fact_that_nobody_writes_is_named_at_start() {
    let traced = Traced::default();
    let writer = traced.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let handler = service_fn(async |_: Conn<DuplexStream>| Ok::<_, Infallible>(()))
        .described(|_| Description::named("quota").reads::<Tenant>().reads::<memory::MemoryAddr>());
    let (listener, _connector) = memory::listen("unmet");
    let shutdown = Shutdown::new();
    shutdown.begin();
    listener.serve(handler, &shutdown).await;
    let text = String::from_utf8(traced.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.trim(), "WARN a service reads a fact that nobody above it writes reader=quota fact=Tenant");
}
