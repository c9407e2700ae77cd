//! The cases of a layer, each a service around the next: it serves a connection, or hands it on.

use std::sync::Arc;

use chaski_core::{BoxError, Conn, Description, IntoBoxError, Io, Layer, Prefixed, Service};

use super::{Detect, Peeking};

/// A case of a [`PeekLayer`](super::PeekLayer); made by [`case`](super::PeekLayer::case).
#[derive(Debug)]
pub struct CaseLayer<D, S> {
    name: &'static str,
    // Shared, because a layer may make several services.
    detector: Arc<D>,
    service: Arc<S>,
}

impl<D, S> CaseLayer<D, S> {
    pub(super) fn new(name: &'static str, detector: D, service: S) -> Self {
        Self { name, detector: Arc::new(detector), service: Arc::new(service) }
    }
}

impl<D, S> Clone for CaseLayer<D, S> {
    fn clone(&self) -> Self {
        Self { name: self.name, detector: Arc::clone(&self.detector), service: Arc::clone(&self.service) }
    }
}

impl<D, S, N> Layer<N> for CaseLayer<D, S> {
    type Service = Case<D, S, N>;

    fn layer(&self, next: N) -> Case<D, S, N> {
        Case { case: self.clone(), next }
    }
}

/// A case and those after it.
#[derive(Debug)]
pub struct Case<D, S, N> {
    case: CaseLayer<D, S>,
    next: N,
}

impl<D, S, N: Clone> Clone for Case<D, S, N> {
    fn clone(&self) -> Self {
        Self { case: self.case.clone(), next: self.next.clone() }
    }
}

impl<T, D, S, N> Service<Peeking<T>> for Case<D, S, N>
where
    T: Io,
    D: Detect,
    S: Service<Conn<Prefixed<T>>, Error: IntoBoxError>,
    N: Service<Peeking<T>, Output = S::Output, Error = BoxError>,
{
    type Output = S::Output;
    type Error = BoxError;

    async fn serve(&self, mut conn: Peeking<T>) -> Result<S::Output, BoxError> {
        let CaseLayer { name, detector, service } = &self.case;
        if conn.is(&**detector).await? {
            tracing::trace!(case = name, "chose a service");
            service.serve(conn.into_conn()).await.map_err(IntoBoxError::into_box_error)
        } else {
            self.next.serve(conn).await
        }
    }

    /// A node of which only the children count: this case, and those of the next.
    fn describe(&self) -> Description {
        let node = Description::of::<Self>().child(self.case.service.describe().labelled(self.case.name));
        self.next.describe().children().iter().cloned().fold(node, Description::child)
    }
}

/// The service for connections that are of no case.
#[derive(Clone, Debug)]
pub struct Otherwise<S> {
    service: S,
}

impl<S> Otherwise<S> {
    pub(super) const fn new(service: S) -> Self {
        Self { service }
    }
}

impl<T, S> Service<Peeking<T>> for Otherwise<S>
where
    T: Io,
    S: Service<Conn<Prefixed<T>>, Error: IntoBoxError>,
{
    type Output = S::Output;
    type Error = BoxError;

    async fn serve(&self, conn: Peeking<T>) -> Result<S::Output, BoxError> {
        self.service.serve(conn.into_conn()).await.map_err(IntoBoxError::into_box_error)
    }

    fn describe(&self) -> Description {
        Description::of::<Self>().child(self.service.describe().labelled("otherwise"))
    }
}
