//! Models that loom runs through every interleaving and every order of memory effects that the code allows:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test -p chaski-core --no-default-features --lib --release extensions::loom
//! ```

use std::fmt;

use ::loom::alloc::Track;
use ::loom::cell::UnsafeCell;
use ::loom::sync::Arc;
use ::loom::{model, thread};

use super::Extensions;

/// A fact that loom watches. It is written when it is made and when it is dropped and read when it is found, so
/// loom fails the model when one of these is not ordered against the others, and when it is leaked.
struct Watched<const N: usize> {
    value: UnsafeCell<u8>,
    _leak: Track<()>,
}

impl<const N: usize> Watched<N> {
    fn new(value: u8) -> Self {
        Self { value: UnsafeCell::new(value), _leak: Track::new(()) }
    }

    #[expect(unsafe_code, reason = "loom's cell hands out a pointer, and checks its use")]
    fn read(&self) -> u8 {
        // SAFETY: the cell is written in `drop` only, which loom verifies.
        self.value.with(|value| unsafe { *value })
    }
}

impl<const N: usize> Drop for Watched<N> {
    fn drop(&mut self) {
        self.value.with_mut(|_| ());
    }
}

impl<const N: usize> fmt::Debug for Watched<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched<{N}>")
    }
}

#[expect(unsafe_code, reason = "the cell is there for loom to find races on")]
// SAFETY: a shared one is only read.
unsafe impl<const N: usize> Sync for Watched<N> {}

type A = Watched<0>;
type B = Watched<1>;
type C = Watched<2>;

fn read<const N: usize>(ext: &Extensions) -> Option<u8> {
    ext.get::<Watched<N>>().map(Watched::read)
}

/// Two threads race for the first insert through one shared handle, a third reads.
#[test]
fn first_inserts_through_one_handle() {
    model(|| {
        let ext = Arc::new(Extensions::new());
        let threads = [
            thread::spawn({
                let ext = Arc::clone(&ext);
                move || {
                    assert!(ext.insert(A::new(1)));
                    assert_eq!(read::<0>(&ext), Some(1));
                }
            }),
            thread::spawn({
                let ext = Arc::clone(&ext);
                move || {
                    assert!(ext.insert(B::new(2)));
                    assert_eq!(read::<1>(&ext), Some(2));
                }
            }),
        ];
        assert!(matches!(read::<0>(&ext), None | Some(1)));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((read::<0>(&ext), read::<1>(&ext)), (Some(1), Some(2)));
    });
}

/// The same through a clone taken before the first insert; the last handle to go frees the facts.
#[test]
fn first_inserts_through_clones() {
    model(|| {
        let ext = Extensions::new();
        let clone = ext.clone();
        let other = thread::spawn(move || {
            assert!(clone.insert(A::new(1)));
            assert_eq!(read::<0>(&clone), Some(1));
        });
        assert!(ext.insert(B::new(2)));
        assert_eq!(read::<1>(&ext), Some(2));
        drop(ext);
        other.join().unwrap();
    });
}

/// A shared handle is cloned by one thread while another makes its first insert.
#[test]
fn clone_against_first_insert() {
    model(|| {
        let ext = Arc::new(Extensions::new());
        let cloner = thread::spawn({
            let ext = Arc::clone(&ext);
            move || {
                let clone = Extensions::clone(&ext);
                assert!(clone.insert(B::new(2)));
                clone
            }
        });
        assert!(ext.insert(A::new(1)));
        let clone = cloner.join().unwrap();
        assert!(clone.same_scope(&ext));
        assert_eq!((read::<0>(&clone), read::<1>(&ext)), (Some(1), Some(2)));
    });
}

/// A reference found through a child that has no scope stays good while other threads make one.
#[test]
fn get_from_the_parent_against_first_inserts() {
    model(|| {
        let parent = Extensions::new();
        parent.insert(A::new(1));
        let child = Arc::new(parent.fork());
        drop(parent);
        let threads = [2, 3].map(|value| {
            let child = Arc::clone(&child);
            thread::spawn(move || assert!(child.insert(B::new(value))))
        });
        let found: &A = child.get().unwrap();
        let own = read::<1>(&child);
        assert!(matches!(own, None | Some(2 | 3)));
        assert_eq!(found.read(), 1);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(found.read(), 1);
        assert!(matches!(read::<1>(&child), Some(2 | 3)));
    });
}

/// One thread looks up and prints while another pushes two facts: it sees them in their order.
#[test]
fn get_against_insert() {
    model(|| {
        let ext = Extensions::new();
        let writer = thread::spawn({
            let ext = ext.clone();
            move || {
                ext.insert(A::new(1));
                ext.insert(B::new(2));
            }
        });
        if read::<1>(&ext).is_some() {
            assert_eq!(read::<0>(&ext), Some(1));
        }
        writer.join().unwrap();
    });
}

/// A handle is forked by one thread while another makes its first insert: the child hangs on the scope that the
/// insert went to.
#[test]
fn fork_against_first_insert() {
    for has_parent in [false, true] {
        model(move || {
            let root = Extensions::new();
            let ext = Arc::new(if has_parent { root.fork() } else { root });
            let forker = thread::spawn({
                let ext = Arc::clone(&ext);
                move || {
                    let child = ext.fork();
                    assert!(child.insert(B::new(2)));
                    child
                }
            });
            assert!(ext.insert(A::new(1)));
            let child = forker.join().unwrap();
            assert_eq!((read::<0>(&child), read::<1>(&child)), (Some(1), Some(2)));
            assert_eq!(read::<1>(&ext), None);
        });
    }
}

/// Parent and children are dropped by different threads, which have all used the facts.
#[test]
fn last_handles_dropped_at_once() {
    model(|| {
        let parent = Extensions::new();
        parent.insert(A::new(1));
        let (used, unused) = (parent.fork(), parent.fork());
        let threads = [
            thread::spawn(move || {
                used.insert(B::new(2));
                assert_eq!(read::<0>(&used), Some(1));
            }),
            thread::spawn(move || assert_eq!(read::<0>(&unused), Some(1))),
        ];
        parent.insert(C::new(3));
        drop(parent);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Two threads race for the last place: one gets it, and the fact of the other is dropped.
#[test]
fn last_place_in_a_scope() {
    #[derive(Debug)]
    struct Filler;
    model(|| {
        let ext = Extensions::new();
        for _ in 1..Extensions::MAX_FACTS {
            ext.insert(Filler);
        }
        let other = thread::spawn({
            let ext = ext.clone();
            move || ext.insert(A::new(1))
        });
        let here = ext.insert(B::new(2));
        let there = other.join().unwrap();
        assert!(here != there);
        assert_eq!(read::<0>(&ext).is_some(), there);
        assert_eq!(read::<1>(&ext).is_some(), here);
    });
}
