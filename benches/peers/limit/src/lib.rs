//! What the references of the comparison share: an answer that is at hand, and the opening of a tunnel.

mod answer;
mod tunnel;

use std::{error::Error, future::Future};

pub use answer::{Answer, heads};
pub use tunnel::{Opening, open};

/// Runs `serve` on a worker of tokio's multi-thread runtime, beside its connections.
pub fn run<F>(threads: usize, serve: F) -> Result<(), Box<dyn Error>>
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(runtime.spawn(serve))??;
    Ok(())
}
