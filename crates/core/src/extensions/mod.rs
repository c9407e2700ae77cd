//! Facts that layers learn, in scopes that never mix.

use std::any::{Any, TypeId, type_name};
use std::fmt;

use self::scope::{Handle, Scope, State};

#[cfg(all(test, loom))]
mod loom;
mod scope;
#[cfg(all(test, not(loom)))]
mod tests;

/// What can be a fact: any owned type that can be printed and shared between threads.
///
/// The trait is implemented for every such type and has no methods. The type itself is the key under which
/// [`Extensions`] finds the fact, so a fact deserves a type of its own: `ClientAddr(SocketAddr)`, not `SocketAddr`.
///
/// A fact must not hold a handle to the scope that it is inserted into: see [`Extensions::insert`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a fact in `Extensions`",
    label = "not a fact",
    note = "a fact is `Debug + Send + Sync + 'static`: derive `Debug`, own the data, share it through `Arc`"
)]
pub trait Fact: Any + fmt::Debug + Send + Sync {}

impl<T: Any + fmt::Debug + Send + Sync> Fact for T {}

/// A handle to one scope of facts: typed, append-only, filled through a shared reference.
///
/// One layer learns something about a connection or a message (the peer's address, the parameters of its TLS
/// session, the authenticated user) and [`insert`](Self::insert)s it; another layer [`get`](Self::get)s it by its type. Facts
/// are never removed or changed. A second fact of one type hides the first, which stays alive, so a reference
/// that `get` returned is good for as long as the handle is borrowed.
///
/// - [`Clone`] is another handle to the *same* scope.
/// - [`fork`](Self::fork) makes a *child*: it sees the facts of its parent, those inserted later too, and the
///   parent never sees the child's.
///
/// # Rules of scope
///
/// 1. A connection has one scope: TCP, then TLS, then the PROXY protocol append to the same one.
/// 2. A message forks from the connection that it arrived on: a request from the client's connection, a response
///    from the upstream connection. So facts about the one side are never found through the other.
/// 3. A dial forks from the request that caused it; the connection that comes of it starts a scope of its own, so
///    a pooled connection never remembers the request that opened it.
/// 4. An upgraded connection forks from the request on the side that was asked, from the response on the side
///    that asked.
/// 5. An attempt (retry, redirect, hedge, mirror) forks from the request.
/// 6. Connectors decide from the fields of their input, never from a fact found through its scope.
///
/// ```
/// use chaski_core::Extensions;
///
/// #[derive(Debug, PartialEq)]
/// struct PeerPort(u16);
/// #[derive(Debug, PartialEq)]
/// struct User(&'static str);
///
/// let connection = Extensions::new();
/// let request = connection.fork();
/// connection.insert(PeerPort(49_152));
/// request.insert(User("ana"));
///
/// // The child sees what its parent learned, even after the fork.
/// assert_eq!(request.get::<PeerPort>(), Some(&PeerPort(49_152)));
/// assert_eq!(request.get::<User>(), Some(&User("ana")));
/// // The parent, and with it every other request, does not see the child's.
/// assert_eq!(connection.get::<User>(), None);
/// assert_eq!(connection.fork().get::<User>(), None);
/// ```
///
/// # Cost
///
/// A handle is one word. `new` allocates nothing; the first insert allocates the scope, which has room for four
/// facts of up to four words. Larger and later facts are allocated one by one. A look-up compares one type id per
/// fact on its way, takes no lock and allocates nothing. A new child has no scope in memory until its first insert.
/// For a handle to be cloned or forked its own scope must exist, because the other handle has to see the facts that
/// are inserted later: `clone` and `fork` of a handle that has none yet make it, at the cost of its one allocation.
///
/// # Limits
///
/// A scope holds at most [`MAX_FACTS`](Self::MAX_FACTS) facts, those of its parents not counted: the scope of a
/// long-lived connection must not grow with its traffic. One more is refused and traced.
///
/// # Order
///
/// `get` finds the newest fact of a type in the handle's own scope, else the newest in its parent's, and so on. Of
/// two inserts that race, either may be the newer one. A fact that `insert` has accepted is found by every look-up
/// that happens after it.
pub struct Extensions {
    handle: Handle,
}

impl Extensions {
    /// The number of facts that one scope takes. More than the layers of any stack insert per connection or
    /// message, so that reaching it means that something inserts in a loop.
    pub const MAX_FACTS: usize = scope::MAX_FACTS;

    /// A scope without a parent and without facts. Allocates nothing.
    #[cfg(not(all(test, loom)))]
    #[must_use]
    pub const fn new() -> Self {
        Self { handle: Handle::empty() }
    }

    /// As above, but loom's atomics cannot be made in a constant.
    #[cfg(all(test, loom))]
    #[must_use]
    pub fn new() -> Self {
        Self { handle: Handle::empty() }
    }

    /// Adds a fact to this scope, where it hides an older one of the same type. Says whether it was taken.
    ///
    /// A refused fact is dropped, and a warning with the name of its type is traced (for a full scope only the
    /// first time). Refused are:
    ///
    /// - any fact once the scope holds [`MAX_FACTS`](Self::MAX_FACTS);
    /// - an `Extensions`. A scope lives as long as its handles, so a fact that holds a handle to its own scope, or
    ///   to one that descends from it, keeps both for ever. Only the bare type can be noticed here; a struct with
    ///   such a handle in it leaks.
    pub fn insert<T: Fact>(&self, fact: T) -> bool {
        if TypeId::of::<T>() == TypeId::of::<Self>() {
            warn_of_handle();
            return false;
        }
        match self.handle.insert(fact) {
            Ok(()) => true,
            Err(full) => {
                warn_of_full(full, type_name::<T>());
                false
            }
        }
    }

    /// The newest fact of this type: in this scope, else in the nearest parent that has one.
    ///
    /// The reference stays good while the handle is borrowed, whatever other handles or threads insert.
    #[inline]
    #[must_use]
    pub fn get<T: Fact>(&self) -> Option<&T> {
        let mut next = self.handle.nearest();
        while let Some(scope) = next {
            if let Some(fact) = scope.find::<T>() {
                return Some(fact);
            }
            next = scope.parent();
        }
        None
    }

    /// How far away the fact is that [`get`](Self::get) finds: 0 in this scope, 1 in its parent, and so on.
    ///
    /// It tells whether a fact is about this connection, or about one that carries it: in a tunnel through a server over TLS,
    /// the server's handshake is found too, and is not the tunnel's. Parents in which nothing was inserted may be left out of
    /// the count.
    #[must_use]
    pub fn distance<T: Fact>(&self) -> Option<usize> {
        let (mut distance, mut next) = match self.handle.state() {
            State::Empty => return None,
            State::Child(parent) => (1, Some(parent)),
            State::Own(scope) => (0, Some(scope)),
        };
        while let Some(scope) = next {
            if scope.find::<T>().is_some() {
                return Some(distance);
            }
            distance += 1;
            next = scope.parent();
        }
        None
    }

    /// A child of this scope: it sees the facts here and in all parents, later ones too, and what is inserted into
    /// it is seen by its own clones and children alone.
    ///
    /// The child keeps its parents alive, and allocates nothing before its first insert, clone or fork. When this
    /// handle has no scope in memory yet (nothing was inserted into it, and it was never cloned or forked), that
    /// is allocated now: a child that hung on the grandparent would miss the facts inserted here later.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { handle: self.handle.fork() }
    }

    /// Makes two of one: this handle becomes a child of its scope, and the one that is returned another child. Each sees
    /// what was known until now and not what the other learns.
    ///
    /// Nothing is allocated, unlike by a [`fork`](Self::fork): nobody is left who could insert into a scope that is not in
    /// memory yet, so its children hang on its parent.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self { handle: self.handle.split() }
    }

    /// Whether no fact can be found through this handle: neither this scope nor any parent has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut next = self.handle.nearest();
        while let Some(scope) = next {
            if !scope.is_empty() {
                return false;
            }
            next = scope.parent();
        }
        true
    }

    /// Whether both are handles to one scope, so that a fact inserted through either is found through the other
    /// and in neither's parent.
    #[must_use]
    pub fn same_scope(&self, other: &Self) -> bool {
        match (self.handle.state(), other.handle.state()) {
            (State::Own(a), State::Own(b)) => std::ptr::eq(a, b),
            // A handle whose scope was not made yet shares it with no other: `clone` would have made it.
            _ => std::ptr::eq(self, other),
        }
    }
}

/// Another handle to the same scope. Allocates only when the scope is not in memory yet.
impl Clone for Extensions {
    fn clone(&self) -> Self {
        Self { handle: self.handle.share() }
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self::new()
    }
}

/// Prints the facts of this scope, newest first, hidden ones included, then those of each parent, nearest first.
impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (own, mut next) = match self.handle.state() {
            State::Empty => (None, None),
            State::Child(parent) => (None, Some(parent)),
            State::Own(scope) => (Some(scope), scope.parent()),
        };
        let mut out = f.debug_struct("Extensions");
        match own {
            Some(scope) => out.field("facts", scope),
            None => out.field("facts", &[(); 0]),
        };
        // Side by side, not nested: a long line of parents must not become a deep recursion.
        while let Some(parent) = next {
            out.field("parent", parent);
            next = parent.parent();
        }
        out.finish()
    }
}

#[cold]
fn warn_of_handle() {
    tracing::warn!("a handle to a scope was offered as a fact and refused: it could keep its own scope alive for ever");
}

#[cold]
fn warn_of_full(scope: &Scope, fact: &'static str) {
    if scope.first_refusal() {
        tracing::warn!(
            fact,
            limit = Extensions::MAX_FACTS,
            "a scope is full: this fact and all later ones are refused"
        );
    }
}
