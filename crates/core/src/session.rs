use std::future::Future;

use crate::{Extensions, Service};

/// An established connection that serves messages: what a pool holds.
///
/// HTTP/1 has no or one free slot, HTTP/2 as many as its peer allows. Calling [`serve`](Service::serve) when none is free
/// fails with a [`SendError`](crate::SendError) that hands the request back; it never queues.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a session for requests of the type `{Req}`",
    note = "a connector of sessions is an HTTP handshake around a connector of plain connections"
)]
pub trait Session<Req>: Service<Req> {
    /// How many more requests may be sent now.
    fn slots(&self) -> Slots;

    /// Whether the connection is open, draining or closed. May look at the socket: a peer that has gone while the
    /// session was idle is noticed here.
    fn state(&self) -> SessionState;

    /// Completes when [`slots`](Self::slots) or [`state`](Self::state) may have changed since the call, or when the session
    /// was dropped. Many sessions are watched by one task, so the future neither borrows the session nor keeps it open.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing. One future at a time is woken; a second replaces the first.
    fn changed(&self) -> impl Future<Output = ()> + Send + 'static;

    /// What is known about the connection.
    fn scope(&self) -> &Extensions;

    /// Lets requests under way finish and takes no more; an idle connection is closed.
    fn drain(&self);
}

/// The free slots of a [`Session`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    /// How many requests may be sent now.
    pub free: usize,
    /// Whether requests share the connection (HTTP/2) or have it to themselves (HTTP/1).
    pub shared: bool,
}

/// Where a [`Session`] is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// Requests can be sent, as far as slots are free.
    Open,
    /// Requests under way finish; no more are taken.
    Draining,
    /// The connection is gone.
    Closed,
}
