//! The contract of scopes, their bounds, and a stress test with real threads. Interleavings are in `loom`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use super::{Extensions, State};

#[derive(Debug, PartialEq)]
struct PeerPort(u16);

#[derive(Debug, PartialEq)]
struct User(&'static str);

#[derive(Debug, PartialEq)]
struct Attempt(u8);

/// Counts its drops.
#[derive(Debug)]
struct Guard(Arc<AtomicUsize>);

impl Guard {
    fn new() -> (Self, Arc<AtomicUsize>) {
        let drops = Arc::new(AtomicUsize::new(0));
        (Self(Arc::clone(&drops)), drops)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn has_no_scope_in_memory(ext: &Extensions) -> bool {
    !matches!(ext.handle.state(), State::Own(_))
}

// The rules of scope, one test each. The sixth, that connectors decide from their input's fields, is not about
// this type.

/// Rule 1: a connection has one scope, whichever of its layers holds which handle.
#[test]
fn rule_1_layers_of_a_connection_append_to_one_scope() {
    let tcp = Extensions::new();
    let tls = tcp.clone();
    tcp.insert(PeerPort(1));
    let proxy_header = tls.clone();
    tls.insert(User("ana"));
    proxy_header.insert(PeerPort(2));

    for layer in [&tcp, &tls, &proxy_header] {
        assert_eq!(layer.get(), Some(&PeerPort(2)));
        assert_eq!(layer.get(), Some(&User("ana")));
    }
}

/// Rule 2: a message sees the facts of the connection it arrived on, and no lookup crosses to the other side.
#[test]
fn rule_2_messages_fork_from_their_connection() {
    let client = Extensions::new();
    let upstream = Extensions::new();
    let request = client.fork();
    let response = upstream.fork();
    client.insert(PeerPort(1));
    upstream.insert(PeerPort(2));

    assert_eq!(request.get(), Some(&PeerPort(1)));
    assert_eq!(response.get(), Some(&PeerPort(2)));

    request.insert(User("ana"));
    assert_eq!(response.get::<User>(), None);
    assert_eq!(client.get::<User>(), None);
}

/// Rule 2: streams of one connection share its facts and never each other's.
#[test]
fn rule_2_streams_do_not_see_each_other() {
    let connection = Extensions::new();
    connection.insert(PeerPort(1));
    let (a, b) = (connection.fork(), connection.fork());
    a.insert(User("ana"));
    b.insert(User("bea"));

    assert_eq!(a.get(), Some(&User("ana")));
    assert_eq!(b.get(), Some(&User("bea")));
    assert_eq!((a.get(), b.get()), (Some(&PeerPort(1)), Some(&PeerPort(1))));
}

/// Rule 3: a dial can report against its request; the connection that comes of it does not remember the request.
#[test]
fn rule_3_a_new_connection_does_not_remember_the_request() {
    let (guard, drops) = Guard::new();
    let request = Extensions::new().fork();
    request.insert(guard);
    let connect = request.fork();
    assert!(connect.get::<Guard>().is_some());

    let pooled = Extensions::new();
    connect.insert(Attempt(1));
    assert!(pooled.is_empty());
    drop((request, connect));
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

/// Rule 4: an upgraded connection sees what its request and, through it, the first connection learned.
#[test]
fn rule_4_an_upgrade_forks_from_the_message() {
    let connection = Extensions::new();
    connection.insert(PeerPort(1));
    let request = connection.fork();
    request.insert(User("ana"));
    let tunnel = request.fork();
    tunnel.insert(PeerPort(2));
    drop((request.clone(), connection.clone()));

    assert_eq!(tunnel.get(), Some(&PeerPort(2)));
    assert_eq!(tunnel.get(), Some(&User("ana")));
    assert_eq!(request.get(), Some(&PeerPort(1)));
    assert_eq!(connection.get(), Some(&PeerPort(1)));

    // It outlives the handles of the others, and so do the facts it sees.
    drop((request, connection));
    assert_eq!(tunnel.get(), Some(&User("ana")));
}

/// Rule 5: attempts see the request, later facts too, and never each other.
#[test]
fn rule_5_attempts_fork_from_the_request() {
    let request = Extensions::new().fork();
    let first = request.fork();
    let second = request.fork();
    first.insert(Attempt(1));
    second.insert(Attempt(2));
    request.insert(User("ana"));

    assert_eq!(first.get(), Some(&Attempt(1)));
    assert_eq!(second.get(), Some(&Attempt(2)));
    assert_eq!(first.get(), Some(&User("ana")));
    assert_eq!(second.get(), Some(&User("ana")));
    assert_eq!(request.get::<Attempt>(), None);
}

#[test]
fn the_newest_fact_of_a_type_wins_and_the_older_stays_alive() {
    let ext = Extensions::new();
    ext.insert(PeerPort(1));
    let old: &PeerPort = ext.get().unwrap();
    ext.insert(PeerPort(2));
    assert_eq!(ext.get(), Some(&PeerPort(2)));
    assert_eq!(old, &PeerPort(1));
}

#[test]
fn the_own_fact_hides_a_later_one_of_the_parent() {
    let parent = Extensions::new();
    let child = parent.fork();
    child.insert(PeerPort(1));
    parent.insert(PeerPort(2));
    assert_eq!(child.get(), Some(&PeerPort(1)));
}

#[test]
fn a_fork_of_a_fork_without_facts_sees_the_later_facts_of_both() {
    let grandparent = Extensions::new();
    let parent = grandparent.fork();
    let child = parent.fork();
    grandparent.insert(PeerPort(1));
    parent.insert(User("ana"));
    assert_eq!(child.get(), Some(&PeerPort(1)));
    assert_eq!(child.get(), Some(&User("ana")));
    assert_eq!(grandparent.get::<User>(), None);
}

#[test]
fn a_clone_of_a_fork_before_its_first_fact_is_the_same_scope() {
    let parent = Extensions::new();
    let child = parent.fork();
    let other = child.clone();
    child.insert(User("ana"));
    parent.insert(PeerPort(1));
    assert_eq!(other.get(), Some(&User("ana")));
    assert_eq!(other.get(), Some(&PeerPort(1)));
    assert_eq!(parent.get::<User>(), None);
}

#[test]
fn nothing_is_allocated_before_it_is_needed() {
    let root = Extensions::new();
    assert!(has_no_scope_in_memory(&root));
    root.insert(PeerPort(1));

    let child = root.fork();
    assert!(has_no_scope_in_memory(&child));
    assert_eq!(child.get(), Some(&PeerPort(1)));
    assert_eq!(child.get::<User>(), None);
    assert!(!child.is_empty());
    assert!(has_no_scope_in_memory(&child));

    child.insert(User("ana"));
    assert!(!has_no_scope_in_memory(&child));
}

#[test]
fn distance_tells_whose_fact_it_is() {
    let outer = Extensions::new();
    assert_eq!(outer.distance::<PeerPort>(), None);
    outer.insert(PeerPort(1));
    let request = outer.fork();
    request.insert(User("ana"));
    let tunnel = request.fork();
    assert_eq!((tunnel.distance::<PeerPort>(), tunnel.distance::<User>()), (Some(2), Some(1)));
    assert_eq!(tunnel.distance::<Attempt>(), None);
    tunnel.insert(PeerPort(2));
    assert_eq!((tunnel.distance::<PeerPort>(), tunnel.distance::<User>()), (Some(0), Some(1)));
    assert_eq!((request.distance::<PeerPort>(), outer.distance::<PeerPort>()), (Some(1), Some(0)));
}

#[test]
fn is_empty_asks_the_parents_too() {
    let root = Extensions::new();
    let child = root.fork();
    let grandchild = child.fork();
    assert!(root.is_empty() && child.is_empty() && grandchild.is_empty());
    child.insert(PeerPort(1));
    assert!(root.is_empty());
    assert!(!child.is_empty() && !grandchild.is_empty());
}

#[test]
fn same_scope_tells_clones_from_forks() {
    let (a, b) = (Extensions::new(), Extensions::new());
    assert!(a.same_scope(&a));
    assert!(!a.same_scope(&b));
    let clone = a.clone();
    assert!(a.same_scope(&clone) && clone.same_scope(&a));
    let (x, y) = (a.fork(), a.fork());
    assert!(!x.same_scope(&y) && !x.same_scope(&a) && x.same_scope(&x));
    assert!(x.clone().same_scope(&x));
}

#[test]
fn a_full_scope_refuses_and_its_fork_does_not() {
    let (guard, drops) = Guard::new();
    let ext = Extensions::new();
    for n in 0..64 {
        assert!(ext.insert(Attempt(n)), "fact {n}");
    }
    assert!(!ext.insert(guard));
    assert_eq!(drops.load(Ordering::Relaxed), 1, "a refused fact is dropped");
    assert!(!ext.insert(User("ana")));
    assert_eq!(ext.get(), Some(&Attempt(63)));
    assert_eq!(ext.get::<User>(), None);

    let child = ext.fork();
    assert!(child.insert(User("ana")));
    assert_eq!(child.get(), Some(&User("ana")));
}

#[test]
fn a_handle_is_refused_as_a_fact() {
    let ext = Extensions::new();
    assert!(!ext.insert(ext.clone()));
    assert!(!ext.insert(Extensions::new()));
    assert!(ext.is_empty());
}

#[test]
fn facts_are_printed_newest_first_then_those_of_each_parent() {
    assert_eq!(format!("{:?}", Extensions::new()), "Extensions { facts: [] }");

    let root = Extensions::new();
    root.insert(PeerPort(1));
    let child = root.fork();
    assert_eq!(format!("{child:?}"), "Extensions { facts: [], parent: [PeerPort(1)] }");
    child.insert(User("ana"));
    child.insert(User("bea"));
    let grandchild = child.fork();
    grandchild.insert(Attempt(3));
    assert_eq!(
        format!("{grandchild:?}"),
        "Extensions { facts: [Attempt(3)], parent: [User(\"bea\"), User(\"ana\")], parent: [PeerPort(1)] }"
    );
}

#[test]
fn facts_drop_exactly_once_with_the_last_handle_that_sees_them() {
    let (guard, drops) = Guard::new();
    let root = Extensions::new();
    root.insert(guard);
    let clone = root.clone();
    let unused = root.fork();
    let used = root.fork();
    used.insert(User("ana"));
    let below = used.fork();

    drop(root);
    drop(clone);
    drop(unused);
    drop(used);
    assert_eq!(drops.load(Ordering::Relaxed), 0);
    assert!(below.get::<Guard>().is_some());
    drop(below);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn a_fact_that_panics_in_its_drop_takes_no_other_with_it() {
    #[derive(Debug)]
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as the test wants it");
        }
    }

    let (in_parent, parent_drops) = Guard::new();
    let (older, older_drops) = Guard::new();
    let (newer, newer_drops) = Guard::new();
    let parent = Extensions::new();
    parent.insert(in_parent);
    let child = parent.fork();
    drop(parent);
    child.insert(older);
    child.insert(Bomb);
    child.insert(newer);

    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(child)));
    assert!(result.is_err());
    for drops in [newer_drops, older_drops, parent_drops] {
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }
}

/// Parents are freed, searched and printed in loops: this one would need far more stack than it has.
#[test]
fn a_long_line_of_parents_needs_no_stack() {
    const DEPTH: usize = 50_000;
    let (guard, drops) = Guard::new();
    thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(move || {
            let root = Extensions::new();
            root.insert(guard);
            let mut leaf = root;
            for _ in 0..DEPTH {
                leaf = leaf.fork();
            }
            assert!(leaf.get::<Guard>().is_some());
            assert!(!leaf.is_empty());
            let printed = format!("{leaf:?}");
            assert_eq!(printed.matches("parent: ").count(), DEPTH);
        })
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

/// The first facts stand in the scope itself and the others in a list, the small in place and the large in boxes:
/// none of that shows.
#[test]
fn facts_of_all_sizes_are_found_in_order_wherever_they_stand() {
    #[derive(Debug, PartialEq)]
    struct Small(u8);
    #[derive(Debug, PartialEq)]
    struct Large(u8, [u64; 20]);

    let ext = Extensions::new();
    let mut printed = Vec::new();
    for n in 0..10_u8 {
        assert_eq!(ext.get::<Small>(), n.checked_sub(1).map(Small).as_ref());
        ext.insert(Small(n));
        ext.insert(Large(n, [7; 20]));
        assert_eq!(ext.get(), Some(&Small(n)));
        assert_eq!(ext.get(), Some(&Large(n, [7; 20])));
        printed.insert(0, format!("Small({n})"));
        printed.insert(0, format!("Large({n}, {:?})", [7; 20]));
    }
    assert_eq!(format!("{ext:?}"), format!("Extensions {{ facts: [{}] }}", printed.join(", ")));
}

#[test]
fn the_oldest_fact_is_found_behind_all_others() {
    let ext = Extensions::new();
    ext.insert(User("ana"));
    for n in 1..64 {
        assert!(ext.insert(Attempt(n)));
    }
    assert_eq!(ext.get(), Some(&User("ana")));
}

#[test]
fn facts_drop_once_wherever_they_stand() {
    #[derive(Debug)]
    struct Large {
        _guard: Guard,
        _pad: [u64; 20],
    }

    let drops = Arc::new(AtomicUsize::new(0));
    for facts in 0..10 {
        drops.store(0, Ordering::Relaxed);
        let ext = Extensions::new();
        for _ in 0..facts {
            ext.insert(Guard(Arc::clone(&drops)));
            ext.insert(Large { _guard: Guard(Arc::clone(&drops)), _pad: [0; 20] });
        }
        assert_eq!(drops.load(Ordering::Relaxed), 0);
        drop(ext);
        assert_eq!(drops.load(Ordering::Relaxed), 2 * facts);
    }
}

#[test]
fn zero_sized_and_over_aligned_facts_are_kept() {
    #[derive(Debug)]
    struct Marker;
    #[derive(Debug)]
    #[repr(align(128))]
    struct Wide(u8);

    let ext = Extensions::new();
    ext.insert(Marker);
    ext.insert(Wide(7));
    assert!(ext.get::<Marker>().is_some());
    let wide: &Wide = ext.get().unwrap();
    assert_eq!(wide.0, 7);
    assert_eq!(std::ptr::from_ref(wide).addr() % 128, 0);
}

#[test]
fn a_handle_is_one_word_and_can_be_shared() {
    fn assert_shared<T: Send + Sync + std::panic::RefUnwindSafe + 'static>() {}
    assert_shared::<Extensions>();
    assert_eq!(size_of::<Extensions>(), size_of::<usize>());
}

// Threads. Rounds are many and short, so that most of them begin with a race for the first insert.

/// A fact whose type depends on the thread and the turn, which lets each one be looked for.
#[derive(Debug, PartialEq)]
struct Numbered<const THREAD: usize, const TURN: usize>(usize);

/// Inserts three facts through `ext` and finds each of them at once, and the same place again at the end.
fn insert_and_find<const THREAD: usize>(ext: &Extensions, round: usize) {
    assert!(ext.insert(Numbered::<THREAD, 0>(round)));
    let first = ext.get::<Numbered<THREAD, 0>>();
    assert!(ext.insert(Numbered::<THREAD, 1>(round + 1)));
    let second = ext.get::<Numbered<THREAD, 1>>();
    assert!(ext.insert(Numbered::<THREAD, 2>(round + 2)));
    let third = ext.get::<Numbered<THREAD, 2>>();
    assert_eq!(first, Some(&Numbered(round)));
    assert_eq!(second, Some(&Numbered(round + 1)));
    assert_eq!(third, Some(&Numbered(round + 2)));
}

fn assert_has_all_of<const THREAD: usize>(ext: &Extensions, round: usize) {
    assert_eq!(ext.get(), Some(&Numbered::<THREAD, 0>(round)));
    assert_eq!(ext.get(), Some(&Numbered::<THREAD, 1>(round + 1)));
    assert_eq!(ext.get(), Some(&Numbered::<THREAD, 2>(round + 2)));
}

/// Four threads insert into one child at once, two through the handle itself and two through clones, while the
/// parent's fact, found before the child had a scope, stays readable.
#[test]
fn stress_concurrent_inserts_and_lookups() {
    const ROUNDS: usize = if cfg!(miri) { 20 } else { 2_000 };
    let start = Barrier::new(4);
    let done = Barrier::new(4);
    let children: Vec<Extensions> = (0..ROUNDS)
        .map(|round| {
            let parent = Extensions::new();
            parent.insert(PeerPort(u16::try_from(round).unwrap()));
            parent.fork()
        })
        .collect();

    let run = |work: fn(&Extensions, usize), through_clone: bool| {
        for (round, child) in children.iter().enumerate() {
            start.wait();
            let port: &PeerPort = child.get().unwrap();
            let clone = through_clone.then(|| child.clone());
            work(clone.as_ref().unwrap_or(child), round);
            assert_eq!(usize::from(port.0), round);
            done.wait();
            assert_has_all_of::<0>(child, round);
            assert_has_all_of::<1>(child, round);
            assert_has_all_of::<2>(child, round);
            assert_has_all_of::<3>(child, round);
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| run(insert_and_find::<0>, false));
        scope.spawn(|| run(insert_and_find::<1>, false));
        scope.spawn(|| run(insert_and_find::<2>, true));
        scope.spawn(|| run(insert_and_find::<3>, true));
    });
}

/// However inserts race, 64 are taken, and every fact is dropped once: the taken with the scope, the others at once.
#[test]
fn stress_the_bound_is_exact() {
    const THREADS: usize = 4;
    const EACH: usize = 40;
    for _ in 0..if cfg!(miri) { 3 } else { 500 } {
        let drops = Arc::new(AtomicUsize::new(0));
        let taken = AtomicUsize::new(0);
        let start = Barrier::new(THREADS);
        let ext = Extensions::new();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..EACH {
                        if ext.insert(Guard(Arc::clone(&drops))) {
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.load(Ordering::Relaxed), 64);
        assert_eq!(drops.load(Ordering::Relaxed), THREADS * EACH - 64);
        assert_eq!(format!("{ext:?}").matches("Guard").count(), 64);
        drop(ext);
        assert_eq!(drops.load(Ordering::Relaxed), THREADS * EACH);
    }
}

/// Handles to one family of scopes are made and dropped by all threads at once; all is freed, once, at the end.
#[test]
fn stress_handles_come_and_go() {
    const THREADS: usize = 4;
    const EACH: usize = if cfg!(miri) { 20 } else { 5_000 };
    let drops = Arc::new(AtomicUsize::new(0));
    let root = Extensions::new();
    root.insert(Guard(Arc::clone(&drops)));
    let root = &root;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let drops = Arc::clone(&drops);
            scope.spawn(move || {
                for _ in 0..EACH {
                    let child = root.fork();
                    let grandchild = child.fork();
                    let clone = child.clone();
                    drop(child);
                    grandchild.insert(Guard(Arc::clone(&drops)));
                    assert!(clone.get::<Guard>().is_some());
                }
            });
        }
    });
    assert_eq!(drops.load(Ordering::Relaxed), THREADS * EACH);
    assert!(root.get::<Guard>().is_some());
}
