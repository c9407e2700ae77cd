//! Models that loom runs through every interleaving and every order of memory effects that the code allows.
//! `tests/loom_extensions.rs` says how to run them.

use std::fmt;

use ::loom::alloc::Track;
use ::loom::cell::UnsafeCell;
use ::loom::sync::Arc;
use ::loom::{model, thread};

use super::Extensions;
use super::scope::SLOTS;

/// A fact that loom watches. It is written when it is made and when it is dropped and read when it is found, so
/// loom fails the model when one of these is not ordered against the others, and when it is leaked. With a pad it is
/// too large to be stored in the scope itself.
struct Watched<const N: usize, const PAD: usize> {
    watch: Box<(UnsafeCell<u8>, Track<()>)>,
    pad: [u64; PAD],
}

impl<const N: usize, const PAD: usize> Watched<N, PAD> {
    fn new(value: u8) -> Self {
        Self { watch: Box::new((UnsafeCell::new(value), Track::new(()))), pad: [u64::from(value); PAD] }
    }

    #[expect(unsafe_code, reason = "loom's cell hands out a pointer, and checks its use")]
    fn read(&self) -> u8 {
        // SAFETY: the cell is written in `drop` only, which loom verifies.
        let value = self.watch.0.with(|value| unsafe { *value });
        assert_eq!(self.pad, [u64::from(value); PAD]);
        value
    }
}

impl<const N: usize, const PAD: usize> Drop for Watched<N, PAD> {
    fn drop(&mut self) {
        self.watch.0.with_mut(|_| ());
    }
}

impl<const N: usize, const PAD: usize> fmt::Debug for Watched<N, PAD> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watched<{N}>")
    }
}

#[expect(unsafe_code, reason = "the cell is there for loom to find races on")]
// SAFETY: a shared one is only read.
unsafe impl<const N: usize, const PAD: usize> Sync for Watched<N, PAD> {}

type A = Watched<0, 0>;
type B = Watched<1, 8>;
type C = Watched<2, 0>;

fn read_a(ext: &Extensions) -> Option<u8> {
    ext.get::<A>().map(Watched::read)
}

fn read_b(ext: &Extensions) -> Option<u8> {
    ext.get::<B>().map(Watched::read)
}

#[derive(Debug)]
struct Filler;

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
                    assert_eq!(read_a(&ext), Some(1));
                }
            }),
            thread::spawn({
                let ext = Arc::clone(&ext);
                move || {
                    assert!(ext.insert(B::new(2)));
                    assert_eq!(read_b(&ext), Some(2));
                }
            }),
        ];
        assert!(matches!(read_a(&ext), None | Some(1)));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((read_a(&ext), read_b(&ext)), (Some(1), Some(2)));
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
            assert_eq!(read_a(&clone), Some(1));
        });
        assert!(ext.insert(B::new(2)));
        assert_eq!(read_b(&ext), Some(2));
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
        assert_eq!((read_a(&clone), read_b(&ext)), (Some(1), Some(2)));
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
        let own = read_b(&child);
        assert!(matches!(own, None | Some(2 | 3)));
        assert_eq!(found.read(), 1);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(found.read(), 1);
        assert!(matches!(read_b(&child), Some(2 | 3)));
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
        if read_b(&ext).is_some() {
            assert_eq!(read_a(&ext), Some(1));
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
            assert_eq!((read_a(&child), read_b(&child)), (Some(1), Some(2)));
            assert_eq!(read_b(&ext), None);
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
                assert_eq!(read_a(&used), Some(1));
            }),
            thread::spawn(move || assert_eq!(read_a(&unused), Some(1))),
        ];
        parent.insert(C::new(3));
        drop(parent);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Two threads insert behind the slots, a third reads: facts in the list are published as those in the slots are.
#[test]
fn inserts_into_the_list() {
    model(|| {
        let ext = Extensions::new();
        for _ in 0..SLOTS {
            ext.insert(Filler);
        }
        let threads = [
            thread::spawn({
                let ext = ext.clone();
                move || assert!(ext.insert(A::new(1)))
            }),
            thread::spawn({
                let ext = ext.clone();
                move || assert!(ext.insert(B::new(2)))
            }),
        ];
        assert!(matches!(read_a(&ext), None | Some(1)));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((read_a(&ext), read_b(&ext)), (Some(1), Some(2)));
    });
}

/// Two threads race for the last place: one gets it, and the fact of the other is dropped.
#[test]
fn last_place_in_a_scope() {
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
        assert_eq!(read_a(&ext).is_some(), there);
        assert_eq!(read_b(&ext).is_some(), here);
    });
}
