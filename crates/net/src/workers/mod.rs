//! One runtime of one thread for each core, beside tokio's runtime of many threads.

mod per_worker;
#[cfg(test)]
mod tests;

use std::{cell::Cell, convert::Infallible, fmt, io, num::NonZeroUsize, sync::Arc, thread};

use chaski_core::{Conn, Description, IntoBoxError, Service, Shutdown};
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::{JoinError, JoinSet},
};

use crate::accept::{self, Source};

pub use per_worker::PerWorker;

thread_local! {
    /// The number of the worker that this thread is, from 0.
    static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Threads that serve connections, each with a runtime of its own: an accepted connection stays on its thread to its end.
///
/// No task moves between threads then, and none is woken by another one, which spares instructions for each request. The
/// price: work is not balanced. Connections are spread over the threads as they are accepted, and one that keeps its
/// thread busy holds up the others there, while other threads may idle. Take it for many connections with little work
/// each, as in proxies; where handlers compute, tokio's runtime of many threads is the better one.
///
/// The program around it, with signals and the end, runs on a runtime of any kind:
///
/// ```
/// use chaski_core::{Conn, Shutdown, service_fn};
/// use chaski_net::{TcpListener, Workers};
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let workers = Workers::per_core()?;
/// let listener = TcpListener::bind("127.0.0.1:0").await?.with_max_connections(100);
/// let shutdown = Shutdown::new();
/// # let addr = listener.local_addr()?;
/// # let stop = shutdown.clone();
/// # tokio::spawn(async move {
/// #     use tokio::io::AsyncReadExt;
/// #     let mut text = String::new();
/// #     TcpStream::connect(addr).await.unwrap().read_to_string(&mut text).await.unwrap();
/// #     assert_eq!(text, "hello");
/// #     stop.begin();
/// # });
/// let greet = service_fn(async |mut conn: Conn<TcpStream>| conn.io.write_all(b"hello").await);
/// // In place of `listener.serve(greet, &shutdown).await`.
/// workers.serve(listener, greet, &shutdown).await?;
/// shutdown.drain(std::time::Duration::from_secs(10)).await;
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(example()).unwrap();
/// ```
///
/// # State
///
/// All threads share the one service, and with it what it holds, such as limits and a client's pool. Where each should have
/// something of its own, a pool above all, whose connections belong to the thread that has opened them, put a
/// [`PerWorker`] in its place.
///
/// # The end
///
/// Dropping the workers ends their threads, and what still runs on them is dropped: [drain](Shutdown::drain) first. A
/// connection that a service elsewhere has kept from one of them fails when it is used next.
///
/// # Panics of a connection
///
/// They cost that connection, as anywhere. What else panics on a thread is the accept loop: then
/// [`serve`](Self::serve) panics.
pub struct Workers {
    threads: Vec<Worker>,
}

struct Worker {
    runtime: Handle,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<Infallible>,
}

impl Workers {
    /// Starts so many threads.
    ///
    /// # Errors
    ///
    /// When the system refuses a thread, or what a runtime needs.
    pub fn new(threads: NonZeroUsize) -> io::Result<Self> {
        (0..threads.get()).map(Worker::start).collect::<Result<_, _>>().map(|threads| Self { threads })
    }

    /// Starts a thread for each core that this process may use. Threads are not pinned to cores: that is the system's.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn per_core() -> io::Result<Self> {
        Self::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// How many threads there are.
    #[must_use]
    pub fn count(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.threads.len()).unwrap_or(NonZeroUsize::MIN)
    }

    /// Serves every connection of `listener` with `service`, on all threads, until `shutdown` begins to drain: on each as
    /// the listener's own `serve` does. The limit of open connections is one for all threads together.
    ///
    /// On Linux a TCP listener gets a socket for each thread (`SO_REUSEPORT`), of the address that it was bound to, and the
    /// kernel spreads connections over them by a hash of the addresses. The port stays closed to other processes, as if
    /// there were one socket. Elsewhere, on Unix sockets, and on sockets that were taken over from a service manager, all
    /// threads accept from the one socket, and who is first gets the connection.
    ///
    /// # Errors
    ///
    /// When a thread's socket cannot be made. Nothing was accepted then.
    ///
    /// # Panics
    ///
    /// When the accept loop of a thread has panicked. The others end then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listening sockets as soon as their threads come to it; connections under way go on.
    pub async fn serve<L, S>(&self, listener: L, service: S, shutdown: &Shutdown) -> io::Result<()>
    where
        L: Listener,
        S: Service<Conn<L::Io>, Error: IntoBoxError>,
    {
        listener.describe_over(&service).warn_of_unmet();
        let slots = accept::slots(listener.max_connections());
        let service = Arc::new(service);
        let runtimes: Vec<_> = self.threads.iter().map(|worker| worker.runtime.clone()).collect();
        let mut loops = JoinSet::new();
        for (part, runtime) in listener.split(&runtimes)?.into_iter().zip(&runtimes) {
            let (service, slots, shutdown) = (Arc::clone(&service), Arc::clone(&slots), shutdown.clone());
            loops.spawn_on(async move { accept::serve(part, service, slots, &shutdown).await }, runtime);
        }
        while let Some(ended) = loops.join_next().await {
            match ended.map_err(JoinError::try_into_panic) {
                Ok(()) => {}
                Err(Ok(panic)) => std::panic::resume_unwind(panic),
                Err(Err(_)) => tracing::error!("a worker's runtime has ended, and accepts nothing any more"),
            }
        }
        Ok(())
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            WORKER.set(Some(number));
            // An error means that the workers were dropped; there is nothing else to be told.
            let Err(_) = runtime.block_on(stopped);
            // A look-up of the system's resolver may block a thread for minutes yet.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, _stop: stop })
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("count", &self.threads.len()).finish()
    }
}

/// What [`Workers::serve`] takes: `TcpListener` and `UnixListener`.
pub trait Listener: Split {}

impl<L: Split> Listener for L {}

/// The part of it that is not for others to call or to write.
pub trait Split: Source + Sized {
    /// Makes one of it for each runtime.
    fn split(self, runtimes: &[Handle]) -> io::Result<Vec<Self>>;

    /// How many connections may be open, on all together.
    fn max_connections(&self) -> usize;

    /// The shape of the listener over `service`.
    fn describe_over<S: Service<Conn<Self::Io>>>(&self, service: &S) -> Description;
}
