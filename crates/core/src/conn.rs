use crate::Extensions;

/// An established connection: something that can be read and written, and what is known about it.
///
/// Transport layers take a `Conn`, do their protocol, and hand on a `Conn` of another IO with the same scope: TCP, then
/// TLS, then the PROXY protocol append to one [`Extensions`].
#[derive(Debug, Default)]
pub struct Conn<S> {
    /// The bytes.
    pub io: S,
    /// The connection's scope.
    pub ext: Extensions,
}

impl<S> Conn<S> {
    /// A connection about which nothing is known yet.
    pub const fn new(io: S) -> Self {
        Self { io, ext: Extensions::new() }
    }

    /// Changes the IO, as a layer that wraps it does; the scope stays.
    pub fn map_io<T>(self, wrap: impl FnOnce(S) -> T) -> Conn<T> {
        Conn { io: wrap(self.io), ext: self.ext }
    }
}

/// Two connections to be joined: the input of a relay. The two scopes stay apart.
#[derive(Debug)]
pub struct Bridge<A, B> {
    /// The side that was accepted.
    pub a: Conn<A>,
    /// The side that was dialed.
    pub b: Conn<B>,
}

impl<A, B> Bridge<A, B> {
    /// Joins `a`, the accepted side, and `b`, the dialed side.
    pub const fn new(a: Conn<A>, b: Conn<B>) -> Self {
        Self { a, b }
    }
}
