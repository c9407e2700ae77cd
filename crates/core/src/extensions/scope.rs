//! Scopes in memory: the handle's word, the scope, its list of facts. All unsafe code of [`Extensions`] is here.
//!
//! ```text
//!  Handle (one word)               Scope                                  Node<T>
//!    null         no scope         references  (handles and children)       TypeId
//!    parent | 1   a child,         parent      (one reference)              vtable
//!                 not made yet     taken       (places given out)           next -> older -> .. -> null
//!    scope        its own          slots  ---> nodes, here or in a box      value
//!                                  space       (for the small ones)
//!                                  head  ----> nodes in boxes, linked
//! ```
//!
//! The first facts of a scope go to its slots: a place is taken by counting up, the node is written into the
//! scope's own memory when it is small, and published by a store. Later ones are pushed to the front of a list. So
//! the few facts of a message cost one locked instruction each and one allocation together, and a scope with more of
//! them pays for those alone.
//!
//! What holds, and what every `SAFETY` comment below leans on:
//!
//! - A handle's word changes at most once, from one of the first two states to the third. The reference to the
//!   parent that the handle had moves into the new scope, so all that was reachable through the handle remains so.
//! - A handle owns one reference to the scope in its word, own or parent; a scope owns one to its parent. A scope
//!   is freed when its last reference goes, so what a borrowed handle reaches lives as long as the borrow.
//! - A place is given out once. Nodes are published once, never unlinked, never written after that, and freed with
//!   their scope only.
//!
//! [`Extensions`]: super::Extensions
#![expect(
    unsafe_code,
    reason = "every request with facts passes here: a tagged word, and facts stored in place and read without a lock, \
              make a fork with the usual few facts one allocation"
)]

use std::any::TypeId;
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
#[cfg(not(all(test, loom)))]
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, fence};

#[cfg(all(test, loom))]
use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, fence};

use super::Fact;

/// The bound of one scope: see `Extensions::MAX_FACTS`.
pub(super) const MAX_FACTS: usize = 64;

/// The number of facts that a scope has room for itself: most messages have no more.
pub(super) const SLOTS: usize = 4;

/// Room for one node with a value of up to four words, such as a socket address. Larger ones go to a box.
type Space = [u64; 8];

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
    #[cfg(not(all(test, loom)))]
    pub(super) const fn empty() -> Self {
        Self { word: AtomicPtr::new(ptr::null_mut()) }
    }

    #[cfg(all(test, loom))]
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

    /// Makes this handle a child of its scope, and gives another child. A scope that is missing is not made: nobody can
    /// insert into it any more, so both hang on its parent.
    pub(super) fn split(&mut self) -> Self {
        let word = self.word.load(Acquire);
        if !word.is_null() && !is_child(word) {
            let other = self.fork();
            *self = self.fork();
            return other;
        }
        // The reference is this handle's, lent.
        let parent = ManuallyDrop::new(parent_in(word));
        let another = ManuallyDrop::new(parent.as_ref().map(ScopeRef::another));
        Self { word: AtomicPtr::new(if another.is_some() { word } else { ptr::null_mut() }) }
    }

    /// Adds a fact to the own scope, which is made when it is missing.
    ///
    /// # Errors
    ///
    /// The scope, when it is full.
    #[inline]
    pub(super) fn insert<T: Fact>(&self, value: T) -> Result<(), &Scope> {
        let word = self.word.load(Acquire);
        if word.is_null() || is_child(word) {
            return self.insert_first(word, value);
        }
        // SAFETY: the word holds a reference to its own scope, and keeps it for the borrow of `self`.
        let scope = unsafe { &*word };
        scope.push(value)
    }

    /// Makes the own scope of a handle whose word was `seen` with the fact already in it, which spares the two
    /// locked instructions that it takes to add it afterwards.
    fn insert_first<T: Fact>(&self, seen: *mut Scope, value: T) -> Result<(), &Scope> {
        let made = Scope::new(parent_in(seen), 1);
        // SAFETY: the scope is not published, and it was made with its first place given out, to this fact.
        unsafe { made.as_ref().place(0, value) };
        let Err((winner, mut lost)) = self.publish(seen, made) else {
            return Ok(());
        };
        // SAFETY: the fact was placed there above, with this type.
        let value = unsafe { lost.take_first::<T>() };
        // SAFETY: the word holds a reference to this scope, and keeps it for the borrow of `self`.
        unsafe { &*winner.as_ptr() }.push(value)
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
        let made = Scope::new(parent_in(seen), 0);
        ManuallyDrop::new(ScopeRef(match self.publish(seen, made) {
            Ok(()) => made,
            Err((winner, _lost)) => winner,
        }))
    }

    /// Puts a scope that was made for this handle into its word, which was `seen`.
    ///
    /// # Errors
    ///
    /// The scope that another thread put there in the meantime, and the own one back, without its parent.
    fn publish(&self, seen: *mut Scope, made: NonNull<Scope>) -> Result<(), (NonNull<Scope>, Box<Scope>)> {
        // Release publishes the scope's fields; a loser acquires those of the winner's scope.
        let won = self.word.compare_exchange(seen, made.as_ptr(), Release, Acquire);
        let Err(winner) = won else {
            return Ok(());
        };
        // SAFETY: `made` came from a box and was not published.
        let mut lost = unsafe { Box::from_raw(made.as_ptr()) };
        // The word's reference to the parent has moved into the winner's scope.
        mem::forget(lost.parent.take());
        debug_assert!(!winner.is_null() && !is_child(winner));
        // SAFETY: the word changes once, from what was seen to a scope.
        Err((unsafe { NonNull::new_unchecked(winner) }, lost))
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

/// The reference to a parent in a word, which is empty or a child's, to be moved into the scope that is made.
fn parent_in(word: *mut Scope) -> Option<ScopeRef> {
    NonNull::new(untag(word)).map(ScopeRef)
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
    /// The number of places given out, to facts that are there or about to be. Races for the last one may leave it
    /// above the bound.
    taken: AtomicUsize,
    /// The first facts, in their order. One that is null has no fact yet, but a later one may.
    slots: [AtomicPtr<Header>; SLOTS],
    /// Where the nodes in `slots` are, if they are small.
    space: [UnsafeCell<MaybeUninit<Space>>; SLOTS],
    /// The newest of all further facts.
    head: AtomicPtr<Header>,
    /// Whether a fact was refused, and that was said.
    refused: AtomicBool,
}

impl Scope {
    /// A scope with one reference, the first `taken` places of which belong to the caller.
    fn new(parent: Option<ScopeRef>, taken: usize) -> NonNull<Self> {
        let scope = Box::new(Self {
            references: AtomicUsize::new(1),
            parent,
            taken: AtomicUsize::new(taken),
            slots: [const { ptr::null_mut() }; SLOTS].map(AtomicPtr::new),
            space: [const { UnsafeCell::new(MaybeUninit::uninit()) }; SLOTS],
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
        self.nodes().next().is_none()
    }

    /// Whether this is the first time that a fact is refused.
    pub(super) fn first_refusal(&self) -> bool {
        !self.refused.swap(true, Relaxed)
    }

    /// Adds a fact.
    ///
    /// # Errors
    ///
    /// This scope, when it is full.
    fn push<T: Fact>(&self, value: T) -> Result<(), &Self> {
        // Looked at first, so that refusals do not count up for ever.
        if self.taken.load(Relaxed) >= MAX_FACTS {
            return Err(self);
        }
        // Only the count itself is agreed on here; the nodes are published by the stores to `slots` and `head`.
        let place = self.taken.fetch_add(1, Relaxed);
        if place >= MAX_FACTS {
            return Err(self);
        }
        if place < SLOTS {
            // SAFETY: each place is given out once, and this one was given out here.
            unsafe { self.place(place, value) };
        } else {
            self.link(value);
        }
        Ok(())
    }

    /// Stores a fact in a slot.
    ///
    /// # Safety
    ///
    /// The place was given out to this fact.
    #[inline]
    unsafe fn place<T: Fact>(&self, place: usize, value: T) {
        let node = if Node::<T>::IS_SMALL {
            let node = self.space[place].get().cast::<Node<T>>();
            // SAFETY: the node fits, and until it is published nobody but the owner of the place goes there.
            unsafe { node.write(Node::new(&Vtable::<T>::IN_PLACE, value)) };
            node
        } else {
            Box::into_raw(Box::new(Node::new(&Vtable::<T>::BOXED, value)))
        };
        self.slots[place].store(node.cast(), Release);
    }

    /// Stores a fact in the list.
    fn link<T: Fact>(&self, value: T) {
        let node = Box::into_raw(Box::new(Node::new(&Vtable::<T>::BOXED, value)));
        let mut older = self.head.load(Relaxed);
        loop {
            // SAFETY: the node is not published, so nobody else reads it.
            unsafe { (*node).header.next = older };
            // Release publishes the node. Those behind it were released by exchanges on the same word, which this one
            // continues, so they are published along with it.
            match self.head.compare_exchange_weak(older, node.cast(), Release, Relaxed) {
                Ok(_) => return,
                Err(newer) => older = newer,
            }
        }
    }

    /// Takes the fact out of the first slot.
    ///
    /// # Safety
    ///
    /// It is there, and it is a `T`.
    unsafe fn take_first<T: Fact>(&mut self) -> T {
        let first = self.slots[0].swap(ptr::null_mut(), Relaxed);
        if Node::<T>::IS_SMALL {
            // SAFETY: a small node is in the scope's space, and as the slot is empty now, it is not used again.
            unsafe { self.space[0].get().cast::<Node<T>>().read() }.value
        } else {
            // SAFETY: another is in a box, and as the slot is empty now, it is not used again.
            unsafe { Box::from_raw(first.cast::<Node<T>>()) }.value
        }
    }

    /// The newest fact of this type in this scope.
    #[inline]
    pub(super) fn find<T: Fact>(&self) -> Option<&T> {
        let wanted = TypeId::of::<T>();
        let node = self.nodes().find(|node| {
            // SAFETY: published nodes live as long as their scope and are not written to.
            let header = unsafe { node.as_ref() };
            header.type_id == wanted
        })?;
        // SAFETY: the type id is that of the value, so this is the header of a `Node<T>`; the pointer is the one to
        // the whole node. The value is only ever shared, and lives as long as the scope.
        Some(unsafe { &(*node.cast::<Node<T>>().as_ptr()).value })
    }

    /// All facts, newest first.
    #[inline]
    fn nodes(&self) -> impl Iterator<Item = NonNull<Header>> {
        let mut next = self.head.load(Acquire);
        let linked = std::iter::from_fn(move || {
            let node = NonNull::new(next)?;
            // SAFETY: published nodes live as long as their scope and are not written to.
            next = unsafe { node.as_ref() }.next;
            Some(node)
        });
        let slots = self.slots.iter().rev();
        linked.chain(slots.filter_map(|slot| NonNull::new(slot.load(Acquire))))
    }
}

/// Prints the facts as a list, newest first.
impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for node in self.nodes() {
            // SAFETY: published nodes live as long as their scope and are not written to; the vtable was made for this
            // node's type, the pointer is the one to the whole node, and the value is only ever shared.
            list.entry(unsafe { &*(node.as_ref().vtable.debug)(node.as_ptr()) });
        }
        list.finish()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // Whoever drops a scope has synchronised with all others who used it, so nothing is left to order.
        let mut first = Chain(ptr::null_mut());
        for (slot, space) in self.slots.iter().zip(&mut self.space) {
            let stored = slot.load(Relaxed);
            if stored.is_null() {
                continue;
            }
            // The stored pointer came from a shared borrow of the space, which the unique one here has ended.
            let here = space.get_mut().as_mut_ptr().cast::<Header>();
            let node = if ptr::eq(stored, here) { here } else { stored };
            // SAFETY: the node is there, and nobody else has it any more.
            unsafe { (*node).next = first.0 };
            first.0 = node;
        }
        drop(Chain(self.head.load(Relaxed)));
        drop(first);
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

/// What is known about a fact without knowing its type.
struct Header {
    type_id: TypeId,
    vtable: &'static Operations,
    /// The next older fact in the list; in a slot it is used by the drop only.
    next: *mut Header,
}

impl<T: Fact> Node<T> {
    /// Whether the node fits into a scope's own space.
    const IS_SMALL: bool = size_of::<Self>() <= size_of::<Space>() && align_of::<Self>() <= align_of::<Space>();

    #[inline]
    fn new(vtable: &'static Operations, value: T) -> Self {
        Self { header: Header { type_id: TypeId::of::<T>(), vtable, next: ptr::null_mut() }, value }
    }
}

/// What can be done with a `Node<T>` through a pointer to its header.
struct Operations {
    /// The value, to be printed.
    debug: unsafe fn(*mut Header) -> *const dyn fmt::Debug,
    /// Drops the value and frees the node.
    free: unsafe fn(*mut Header),
}

/// The operations on facts of one type.
struct Vtable<T>(std::marker::PhantomData<T>);

impl<T: Fact> Vtable<T> {
    /// For a node in its scope's space.
    const IN_PLACE: Operations = Operations { debug: debug::<T>, free: drop_in_place::<T> };
    /// For a node in a box.
    const BOXED: Operations = Operations { debug: debug::<T>, free: free_box::<T> };
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
/// `node` points to a whole `Node<T>` that is not used again.
unsafe fn drop_in_place<T: Fact>(node: *mut Header) {
    // SAFETY: the caller's.
    unsafe { node.cast::<Node<T>>().drop_in_place() };
}

/// # Safety
///
/// `node` points to a whole `Node<T>` that came from a box and is not used again.
unsafe fn free_box<T: Fact>(node: *mut Header) {
    // SAFETY: the caller's.
    drop(unsafe { Box::from_raw(node.cast::<Node<T>>()) });
}
