use std::{
    any::{Any, TypeId, type_name},
    fmt::{self, Debug},
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The typed choices made for a dial: an IP family, a local address, a proxy chain, a TLS profile.
///
/// One word when nothing was chosen. Compared by value, so that it can be part of a pool's key. Each connector documents
/// the choices it reads; one that no connector read is an error at dial time rather than silently ignored
/// ([`unread`](Self::unread)).
///
/// ```
/// use chaski_core::Route;
///
/// #[derive(Debug, PartialEq, Eq, Hash)]
/// struct Via(&'static str);
///
/// let route = Route::default().with(Via("eth1"));
/// assert_eq!(route.choice::<Via>(), Some(&Via("eth1")));
/// assert_eq!(route, Route::default().with(Via("eth1")));
/// assert_ne!(route, Route::default());
/// ```
#[derive(Clone, Default)]
pub struct Route {
    // Sorted by `TypeId`, so that the order of choosing does not matter to `Eq` and `Hash`. Not an `Arc<[_]>`: that is
    // two words.
    slots: Option<Arc<Vec<Slot>>>,
}

struct Slot {
    id: TypeId,
    name: &'static str,
    value: Arc<dyn AnyChoice>,
    read: AtomicBool,
}

/// What can be chosen in a [`Route`]: any value that can be compared, hashed and printed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a choice in a `Route`",
    note = "a choice is `Hash + Eq + Debug + Send + Sync + 'static`: routes are compared by value, as keys of pools"
)]
pub trait Choice: Any + Hash + Eq + Debug + Send + Sync {}

impl<T: Any + Hash + Eq + Debug + Send + Sync> Choice for T {}

impl Route {
    /// This route with one more choice; a choice of the same type made before is replaced.
    #[must_use]
    pub fn with<T: Choice>(self, choice: T) -> Self {
        let id = TypeId::of::<T>();
        let mut slots: Vec<Slot> = self.slots.iter().flat_map(|slots| slots.iter()).map(Slot::fresh).collect();
        slots.retain(|slot| slot.id != id);
        let at = slots.partition_point(|slot| slot.id < id);
        slots.insert(at, Slot { id, name: type_name::<T>(), value: Arc::new(choice), read: AtomicBool::new(false) });
        Self { slots: Some(Arc::new(slots)) }
    }

    /// This route without the choice of type `T`, [fresh](Self::fresh): for a hop on the way, whose connection that choice is not
    /// about.
    #[must_use]
    pub fn without<T: Choice>(&self) -> Self {
        let slots: Vec<Slot> =
            self.slots().iter().filter(|slot| slot.id != TypeId::of::<T>()).map(Slot::fresh).collect();
        Self { slots: (!slots.is_empty()).then(|| Arc::new(slots)) }
    }

    /// Reads the choice of type `T`. It counts as read from now on.
    #[must_use]
    pub fn choice<T: Choice>(&self) -> Option<&T> {
        let slot = self.slots.as_ref()?.iter().find(|slot| slot.id == TypeId::of::<T>())?;
        slot.read.store(true, Ordering::Relaxed);
        (&*slot.value as &dyn Any).downcast_ref()
    }

    /// This route for another dial: the same choices, none of them read. A clone shares the marks with its original, so
    /// that what one connector read is known to the next one inside it.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let slots = self.slots.as_ref().map(|slots| Arc::new(slots.iter().map(Slot::fresh).collect()));
        Self { slots }
    }

    /// The name of a choice that no connector has read. The innermost connector asks, when all have had their turn.
    #[must_use]
    pub fn unread(&self) -> Option<&'static str> {
        self.slots.as_ref()?.iter().find(|slot| !slot.read.load(Ordering::Relaxed)).map(|slot| slot.name)
    }

    /// Whether nothing was chosen.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.slots.is_none()
    }

    fn slots(&self) -> &[Slot] {
        self.slots.as_ref().map_or(&[], |slots| slots)
    }
}

impl Slot {
    fn fresh(&self) -> Self {
        Self { id: self.id, name: self.name, value: Arc::clone(&self.value), read: AtomicBool::new(false) }
    }
}

impl PartialEq for Route {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (self.slots(), other.slots());
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.id == b.id && a.value.same(&*b.value))
    }
}

impl Eq for Route {}

impl Hash for Route {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for slot in self.slots() {
            slot.id.hash(state);
            slot.value.feed(state);
        }
    }
}

impl Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.slots().iter().map(|slot| &slot.value)).finish()
    }
}

/// The object-safe face of [`Choice`].
trait AnyChoice: Any + Debug + Send + Sync {
    fn same(&self, other: &dyn AnyChoice) -> bool;
    fn feed(&self, state: &mut dyn Hasher);
}

impl<T: Choice> AnyChoice for T {
    fn same(&self, other: &dyn AnyChoice) -> bool {
        (other as &dyn Any).downcast_ref::<T>() == Some(self)
    }

    fn feed(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Hash)]
    struct A(u8);
    #[derive(Debug, PartialEq, Eq, Hash)]
    struct B(&'static str);

    fn hash(route: &Route) -> u64 {
        let mut hasher = DefaultHasher::new();
        route.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn routes_are_compared_by_value_in_any_order() {
        let ab = Route::default().with(A(1)).with(B("x"));
        let ba = Route::default().with(B("x")).with(A(1));
        assert_eq!(ab, ba);
        assert_eq!(hash(&ab), hash(&ba));
        for other in [Route::default(), Route::default().with(A(1)), ba.with(A(2))] {
            assert_ne!(ab, other);
        }
    }

    #[test]
    fn a_later_choice_replaces_an_earlier_one() {
        let route = Route::default().with(A(1)).with(A(2));
        assert_eq!(route.choice::<A>(), Some(&A(2)));
        assert_eq!(route.choice::<B>(), None);
    }

    #[test]
    fn a_choice_can_be_left_out() {
        let both = Route::default().with(A(1)).with(B("x"));
        let rest = both.without::<A>();
        assert_eq!(rest, Route::default().with(B("x")));
        assert_eq!(both.choice::<A>(), Some(&A(1)));
        assert!(rest.without::<B>().is_default());
        let _ = both.choice::<B>();
        assert!(rest.unread().is_some(), "the hop has connectors of its own");
    }

    #[test]
    fn a_choice_that_nobody_read_is_named() {
        let route = Route::default().with(A(1));
        assert!(route.unread().is_some_and(|name| name.ends_with("::A")));
        let _ = route.choice::<A>();
        assert_eq!(route.unread(), None);
        assert_eq!(size_of::<Route>(), size_of::<usize>());
    }
}
