//! Scopes in memory: the handle's word, the scope, its list of facts. All unsafe code of [`Extensions`] is here.
//!
//! ```text
//!  Handle (one word)                 Scope                            Node<T>
//!    null           no scope         references   (handles, children)   TypeId
//!    parent | 1     a child,         parent       (one reference)       vtable
//!                   not made yet     head --------------------------->  next -> older -> .. -> null
//!    scope          its own          refused                            count, value
//! ```
//!
//! What holds, and what every `SAFETY` comment below leans on:
//!
//! - A handle's word changes at most once, from one of the first two states to the third. The reference to the
//!   parent that the handle had moves into the new scope, so all that was reachable through the handle remains so.
//! - A handle owns one reference to the scope in its word, own or parent; a scope owns one to its parent. A scope
//!   is freed when its last reference goes, so what a borrowed handle reaches lives as long as the borrow.
//! - Nodes are pushed at the head, never unlinked, never written after they were published, and freed with their
//!   scope only.
//!
//! [`Extensions`]: super::Extensions
#![expect(
    unsafe_code,
    reason = "a tagged word and an intrusive list: less than half the time of a locked or boxed form in the \
              fork-insert-look-up measurement, and that is on the path of every request"
)]

use std::any::TypeId;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, fence};

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, fence};

use super::Fact;

/// The bound of one scope: see `Extensions::MAX_FACTS`.
pub(super) const MAX_FACTS: usize = 64;

/// The bit in a handle's word which says that the scope there is the parent's. Free, as scopes are aligned.
const CHILD: usize = 1;
const _: () = assert!(align_of::<Scope>() > CHILD, "the tag needs a free bit");

/// A handle to one scope, which may not be in memory yet.
pub(super) struct Handle {
    word: AtomicPtr<Scope>,
}

/// What a handle's word says.
pub(super) enum State<'a> {
    /// A root without a scope.
    Empty,
    /// A child of this scope, without a scope of its own.
    Child(&'a Scope),
    /// A handle to this scope.
    Own(&'a Scope),
}

impl Handle {
    #[cfg(not(loom))]
    pub(super) const fn empty() -> Self {
        Self { word: AtomicPtr::new(ptr::null_mut()) }
    }

    #[cfg(loom)]
    pub(super) fn empty() -> Self {
        Self { word: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Another handle to the same scope, which is made when it is missing.
    pub(super) fn share(&self) -> Self {
        let scope = ManuallyDrop::new(self.own_ref().another());
        Self { word: AtomicPtr::new(scope.0.as_ptr()) }
    }

    /// A handle to a child of this scope, which is made when it is missing; the child's is not.
    pub(super) fn fork(&self) -> Self {
        let parent = ManuallyDrop::new(self.own_ref().another());
        Self { word: AtomicPtr::new(parent.0.as_ptr().map_addr(|addr| addr | CHILD)) }
    }

    /// The scope to insert into, made when it is missing.
    #[inline]
    pub(super) fn own(&self) -> &Scope {
        // SAFETY: the word holds a reference to this scope and keeps it until the handle is dropped, which the
        // borrow of `self` in the result forbids.
        unsafe { self.own_ref().0.as_ref() }
    }

    /// The scope to begin a look-up in: the own one, else the parent's.
    #[inline]
    pub(super) fn nearest(&self) -> Option<&Scope> {
        let scope = untag(self.word.load(Acquire));
        // SAFETY: it is null, or a scope that is referenced by the word, or, once another thread has made this
        // handle's own scope, by that one. The borrow of `self` keeps either reference.
        unsafe { scope.as_ref() }
    }

    pub(super) fn state(&self) -> State<'_> {
        let word = self.word.load(Acquire);
        // SAFETY: as in `nearest`.
        match unsafe { untag(word).as_ref() } {
            None => State::Empty,
            Some(parent) if is_child(word) => State::Child(parent),
            Some(scope) => State::Own(scope),
        }
    }

    /// The handle's reference to its own scope, lent: it must not be dropped, nor outlive the borrow.
    #[inline]
    fn own_ref(&self) -> ManuallyDrop<ScopeRef> {
        let word = self.word.load(Acquire);
        match NonNull::new(word) {
            Some(scope) if !is_child(word) => ManuallyDrop::new(ScopeRef(scope)),
            _ => self.make_own(word),
        }
    }

    /// Makes the own scope of a handle whose word was `seen`: empty or a child.
    #[cold]
    fn make_own(&self, seen: *mut Scope) -> ManuallyDrop<ScopeRef> {
        let made = Scope::with_parent(NonNull::new(untag(seen)).map(ScopeRef));
        // Release publishes the scope's fields; a loser acquires those of the winner's scope.
        let won = self.word.compare_exchange(seen, made.as_ptr(), Release, Acquire);
        let Err(winner) = won else {
            return ManuallyDrop::new(ScopeRef(made));
        };
        // SAFETY: `made` came from a box and was never published.
        let mut lost = unsafe { Box::from_raw(made.as_ptr()) };
        // The word's reference to the parent has moved into the winner's scope.
        mem::forget(lost.parent.take());
        // The word changes once, so what is there now is a scope.
        debug_assert!(!winner.is_null() && !is_child(winner));
        // SAFETY: no handle becomes empty again, and `seen` was the only other word it had.
        ManuallyDrop::new(ScopeRef(unsafe { NonNull::new_unchecked(winner) }))
    }
}

impl Drop for Handle {
    #[inline]
    fn drop(&mut self) {
        // Nobody else has the handle now, so there is nothing to order.
        if let Some(scope) = NonNull::new(untag(self.word.load(Relaxed))) {
            drop(ScopeRef(scope));
        }
    }
}

fn is_child(word: *mut Scope) -> bool {
    word.addr() & CHILD != 0
}

fn untag(word: *mut Scope) -> *mut Scope {
    word.map_addr(|addr| addr & !CHILD)
}

/// One counted reference to a scope.
struct ScopeRef(NonNull<Scope>);

impl ScopeRef {
    fn another(&self) -> Self {
        // SAFETY: the scope lives while it is referenced.
        let before = unsafe { self.0.as_ref() }.references.fetch_add(1, Relaxed);
        if before > usize::MAX / 2 {
            // Only handles that are leaked in a loop get here. An overflow would free the scope under its users,
            // and a panic could be caught and repeated; `Arc` does the same.
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for ScopeRef {
    /// Frees the scope with its last reference, then its parent likewise: in a loop, as a line of parents may be
    /// longer than the stack is deep.
    #[inline]
    fn drop(&mut self) {
        let mut scope = self.0;
        loop {
            {
                // SAFETY: this reference has not been given up yet.
                let references = &unsafe { scope.as_ref() }.references;
                // A count of one cannot rise any more, as this is the reference to clone it from. Reading it spares
                // the common case a locked instruction.
                if references.load(Acquire) != 1 {
                    // Release, so that the thread that frees the scope sees all uses of it as past.
                    if references.fetch_sub(1, Release) != 1 {
                        return;
                    }
                    fence(Acquire);
                }
            }
            // SAFETY: it came from a box, and the last reference is gone.
            let mut last = unsafe { Box::from_raw(scope.as_ptr()) };
            // Taken out first: should a fact panic in its drop, unwinding still gives this reference up.
            let parent = last.parent.take();
            drop(last);
            match parent.map(ManuallyDrop::new) {
                Some(parent) => scope = parent.0,
                None => return,
            }
        }
    }
}

/// The facts of one scope.
pub(super) struct Scope {
    references: AtomicUsize,
    parent: Option<ScopeRef>,
    /// The newest fact.
    head: AtomicPtr<Header>,
    /// Whether a fact was refused, and that was said.
    refused: AtomicBool,
}

impl Scope {
    fn with_parent(parent: Option<ScopeRef>) -> NonNull<Self> {
        let scope = Box::new(Self {
            references: AtomicUsize::new(1),
            parent,
            head: AtomicPtr::new(ptr::null_mut()),
            refused: AtomicBool::new(false),
        });
        NonNull::from(Box::leak(scope))
    }

    #[inline]
    pub(super) fn parent(&self) -> Option<&Self> {
        // SAFETY: this scope holds the reference for as long as it lives.
        self.parent.as_ref().map(|parent| unsafe { parent.0.as_ref() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.load(Acquire).is_null()
    }

    /// Whether this is the first time that a fact is refused.
    pub(super) fn first_refusal(&self) -> bool {
        !self.refused.swap(true, Relaxed)
    }

    /// Adds a fact, unless the scope is full.
    pub(super) fn push<T: Fact>(&self, value: T) -> bool {
        let mut older = self.head.load(Acquire);
        // SAFETY: the head is null or a published node of this scope.
        let mut count = unsafe { count_from(older) };
        if count == MAX_FACTS {
            return false;
        }
        let node = Box::into_raw(Box::new(Node {
            header: Header { type_id: TypeId::of::<T>(), vtable: Vtable::of::<T>(), next: older, count: count + 1 },
            value,
        }));
        // Release publishes the node, Acquire on failure allows to read the count of the newer one. A node's count
        // is right because the exchange succeeds only on the head that it was taken from: so the exchange that
        // links the fact also reserves its place, and the bound is exact without a counter.
        while let Err(newer) = self.head.compare_exchange_weak(older, node.cast(), Release, Acquire) {
            older = newer;
            // SAFETY: as above.
            count = unsafe { count_from(older) };
            if count == MAX_FACTS {
                // SAFETY: the node came from a box just now and was not published.
                drop(unsafe { Box::from_raw(node) });
                return false;
            }
            // SAFETY: the node was not published, so nobody else reads it.
            let header = unsafe { &mut (*node).header };
            header.next = older;
            header.count = count + 1;
        }
        true
    }

    /// The newest fact of this type in this scope.
    #[inline]
    pub(super) fn find<T: Fact>(&self) -> Option<&T> {
        let wanted = TypeId::of::<T>();
        let mut next = self.head.load(Acquire);
        // SAFETY: published nodes live as long as their scope and are not written to.
        while let Some(header) = unsafe { next.as_ref() } {
            if header.type_id == wanted {
                // SAFETY: the type id is that of the value, so this is the header of a `Node<T>`; the pointer is the
                // one to the whole node. The value is only ever shared, and lives as long as the scope.
                return Some(unsafe { &(*next.cast::<Node<T>>()).value });
            }
            next = header.next;
        }
        None
    }
}

/// Prints the facts as a list, newest first.
impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        let mut next = self.head.load(Acquire);
        // SAFETY: published nodes live as long as their scope and are not written to.
        while let Some(header) = unsafe { next.as_ref() } {
            // SAFETY: the vtable was made for this node's type, and the pointer is the one to the whole node, whose
            // value is only ever shared.
            list.entry(unsafe { &*(header.vtable.debug)(next) });
            next = header.next;
        }
        list.finish()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // Whoever drops a scope has synchronised with all others who used it.
        drop(Chain(self.head.load(Relaxed)));
    }
}

/// The nodes of a scope that nobody else has any more.
struct Chain(*mut Header);

impl Drop for Chain {
    fn drop(&mut self) {
        // SAFETY: the nodes are this chain's alone.
        while let Some(header) = unsafe { self.0.as_ref() } {
            let (node, free) = (self.0, header.vtable.free);
            // Should a fact panic in its drop, unwinding still frees those behind it.
            let rest = Self(header.next);
            // SAFETY: the vtable was made for this node's type, and the node is not used again.
            unsafe { free(node) };
            self.0 = ManuallyDrop::new(rest).0;
        }
    }
}

/// One fact. The header stands first, so that a pointer to the node is one to its header.
#[repr(C)]
struct Node<T> {
    header: Header,
    value: T,
}

/// What the list knows about a fact without knowing its type.
struct Header {
    type_id: TypeId,
    vtable: &'static Vtable,
    /// The next older fact.
    next: *mut Header,
    /// The number of facts in the scope up to this one.
    count: usize,
}

/// The number of facts from this one on to the oldest.
///
/// # Safety
///
/// `node` is null or a published node of a living scope.
unsafe fn count_from(node: *mut Header) -> usize {
    // SAFETY: the caller's; published nodes are not written to.
    unsafe { node.as_ref() }.map_or(0, |header| header.count)
}

/// What can be done with a `Node<T>` through a pointer to its header.
struct Vtable {
    /// The value, to be printed.
    debug: unsafe fn(*mut Header) -> *const dyn fmt::Debug,
    /// Drops the value and frees the node.
    free: unsafe fn(*mut Header),
}

impl Vtable {
    const fn of<T: Fact>() -> &'static Self {
        const { &Self { debug: debug::<T>, free: free::<T> } }
    }
}

/// # Safety
///
/// `node` points to a whole `Node<T>`.
unsafe fn debug<T: Fact>(node: *mut Header) -> *const dyn fmt::Debug {
    // SAFETY: the caller's.
    unsafe { &raw const (*node.cast::<Node<T>>()).value }
}

/// # Safety
///
/// `node` points to a whole `Node<T>` that came from a box and is not used again.
unsafe fn free<T: Fact>(node: *mut Header) {
    // SAFETY: the caller's.
    drop(unsafe { Box::from_raw(node.cast::<Node<T>>()) });
}
