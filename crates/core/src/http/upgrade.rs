use std::{
    fmt,
    future::{Future, ready},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use http::Response;

use crate::{BoxIo, Conn};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Continuation = Box<dyn FnOnce(Conn<BoxIo>) -> Running + Send>;

/// What becomes of a connection after the response that switches protocols: a continuation that the response carries.
///
/// A handler answers `101 Switching Protocols`, or a CONNECT request with `2xx`, and puts an `Upgrade` into the response.
/// The engine sends the head and runs the continuation in the connection's own task, with the IO (bytes that followed the
/// request's head come first) and a scope that is a child of the request's. With any other status the continuation is
/// dropped unrun.
#[derive(Clone)]
pub struct Upgrade(Arc<Mutex<Option<Continuation>>>);

impl Upgrade {
    /// Runs `continuation` after the switch.
    ///
    /// # Cancel safety
    ///
    /// The continuation is dropped with the connection's task: at a hard shutdown, for one.
    pub fn new<F, Fut>(continuation: F) -> Self
    where
        F: FnOnce(Conn<BoxIo>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let continuation: Continuation = Box::new(move |conn| Box::pin(continuation(conn)));
        Self(Arc::new(Mutex::new(Some(continuation))))
    }

    /// Puts the continuation into a response.
    pub fn attach<B>(self, response: &mut Response<B>) {
        response.extensions_mut().insert(self);
    }

    /// Takes the continuation out of a response; for engines.
    pub fn detach<B>(response: &mut Response<B>) -> Option<Self> {
        response.extensions_mut().remove()
    }

    /// Runs the continuation; for engines. Completes at once if it ran before, through a clone of the response.
    ///
    /// The future is one pointer: neither the connection nor this handle is kept beside what the continuation made of them.
    pub fn run(self, conn: Conn<BoxIo>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let continuation = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        continuation.map_or_else(|| Box::pin(ready(())) as Running, |continuation| continuation(conn))
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").finish_non_exhaustive()
    }
}

/// The connection behind a response that switched protocols, on the side that asked.
///
/// A client's engine puts it into a `101` response, or into the `2xx` response to a CONNECT request. Bytes that followed
/// the response's head come first; the scope is a child of the response's. Dropping the response closes the connection.
#[derive(Clone)]
pub struct Upgraded(Arc<Mutex<Option<Conn<BoxIo>>>>);

impl Upgraded {
    /// Puts a connection into a response; for engines.
    pub fn attach<B>(conn: Conn<BoxIo>, response: &mut Response<B>) {
        response.extensions_mut().insert(Self(Arc::new(Mutex::new(Some(conn)))));
    }

    /// Takes the connection. `None` when the response did not switch protocols, or it was taken before.
    pub fn take<B>(response: &mut Response<B>) -> Option<Conn<BoxIo>> {
        let Self(slot) = response.extensions_mut().remove::<Self>()?;
        slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").finish_non_exhaustive()
    }
}
