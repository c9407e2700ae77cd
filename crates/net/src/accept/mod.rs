//! The loop under every listener: take a permit, accept, hand the connection to a task of its own.

mod backoff;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use chaski_core::{Conn, IntoBoxError, Service, Shutdown, ShutdownSignal, display_chain, find_cause};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::backoff::Backoff;

/// Where connections come from. The loop is generic over it, so that it is one for all transports and its errors can be
/// scripted.
pub trait Source: Send + Sync + 'static {
    /// The bytes of a connection.
    type Io: Send + 'static;
    /// Who is at the other end, for logs.
    type Peer: fmt::Display + Send + 'static;

    /// The next connection. Cancel safe: a future that is dropped has taken none.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Self::Peer)>> + Send;

    /// Readies an accepted connection and records what is known about it. An error costs this connection only.
    fn ready(&self, io: Self::Io, peer: &Self::Peer, signal: ShutdownSignal) -> io::Result<Conn<Self::Io>>;
}

/// How many connections may be open at a time: one number, however many loops there are.
pub(crate) fn slots(max_connections: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS)))
}

/// Accepts until draining begins, then drops `source`.
pub(crate) async fn serve<A, S>(source: A, service: Arc<S>, slots: Arc<Semaphore>, shutdown: &Shutdown)
where
    A: Source,
    S: Service<Conn<A::Io>, Error: IntoBoxError>,
{
    let mut draining = pin!(shutdown.signal().draining());
    let mut accepting = pin!(accept_all(&source, service, slots, shutdown));
    // Draining is asked first: once it has begun, nothing more is accepted, whatever is waiting.
    poll_fn(|cx| match draining.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(()),
        Poll::Pending => accepting.as_mut().poll(cx),
    })
    .await;
}

async fn accept_all<A, S>(source: &A, service: Arc<S>, slots: Arc<Semaphore>, shutdown: &Shutdown)
where
    A: Source,
    S: Service<Conn<A::Io>, Error: IntoBoxError>,
{
    let mut backoff = Backoff::default();
    while let Some((permit, accepted)) = accept_one(source, &slots).await {
        let (io, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                match backoff.after(&error) {
                    Some(pause) => {
                        tracing::warn!(%error, ?pause, "cannot accept connections for now");
                        tokio::time::sleep(pause).await;
                    }
                    None => tracing::debug!(%error, "a connection was lost before it was accepted"),
                }
                continue;
            }
        };
        backoff.reset();
        match source.ready(io, &peer, shutdown.signal()) {
            Ok(conn) => spawn(Arc::clone(&service), conn, peer, permit, shutdown),
            Err(error) => {
                let error = display_chain(&error);
                tracing::debug!(%error, %peer, "closed a connection whose socket cannot be set up");
            }
        }
    }
}

/// Takes a permit, and with it the next connection.
///
/// The permit comes first: what cannot be served stays in the kernel's backlog, which is bounded, and its client sees a
/// slow connect rather than a connection that nobody reads. It is kept only if there is a connection: a loop that
/// waited with the last one in hand would keep it from another loop, whose socket has connections waiting.
async fn accept_one<A: Source>(
    source: &A,
    slots: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, io::Result<(A::Io, A::Peer)>)> {
    let mut accepting = pin!(source.accept());
    loop {
        // The semaphore is never closed.
        let permit = Arc::clone(slots).acquire_owned().await.ok()?;
        if let Poll::Ready(accepted) = poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx))).await {
            return Some((permit, accepted));
        }
        drop(permit);
        // Until the source wakes this task; or something else in it does, and the source is asked once more for nothing.
        let mut asked = false;
        poll_fn(|_| match std::mem::replace(&mut asked, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// Runs one connection in a task of its own, which holds the permit and what draining waits for.
fn spawn<S, Io, P>(service: Arc<S>, conn: Conn<Io>, peer: P, permit: OwnedSemaphorePermit, shutdown: &Shutdown)
where
    S: Service<Conn<Io>, Error: IntoBoxError>,
    Io: Send + 'static,
    P: fmt::Display + Send + 'static,
{
    let guard = shutdown.guard();
    let peer = PanicReport(peer);
    tokio::spawn(async move {
        // By reference, as what is moved within a future is kept in it twice for as long as the connection lives.
        let _permit = &permit;
        match guard.run(service.serve(conn)).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => report(&*error.into_box_error(), &peer.0),
            None => tracing::debug!(peer = %peer.0, "cut a connection at the end of draining"),
        }
    });
}

/// The one report of a failed connection. That a peer went away is its own business; all else may be a fault here, or a
/// peer's that whoever scans the port can repeat at will: so it is no warning.
fn report(error: &(dyn std::error::Error + 'static), peer: &dyn fmt::Display) {
    use io::ErrorKind as Kind;

    let left = find_cause::<io::Error>(error).is_some_and(|error| {
        matches!(
            error.kind(),
            Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::BrokenPipe
                | Kind::UnexpectedEof
                | Kind::NotConnected
        )
    });
    let error = display_chain(error);
    if left {
        tracing::debug!(%error, %peer, "a peer left its connection");
    } else {
        tracing::info!(%error, %peer, "a connection failed");
    }
}

/// Says whose connection it was when a panic unwinds through its task. The task ends there, tokio keeps the panic, and
/// nobody joins it: so it would go unnoticed in the logs.
struct PanicReport<P: fmt::Display>(P);

impl<P: fmt::Display> Drop for PanicReport<P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(peer = %self.0, "a connection's service panicked; its connection is closed");
        }
    }
}
