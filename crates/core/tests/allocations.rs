//! What a call through layers allocates. In a binary of its own, since there is one allocator for a process.

#![cfg(test)]
#![expect(unsafe_code, reason = "an allocator that counts is an allocator")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    convert::Infallible,
    pin::pin,
    task::{Context, Poll, Waker},
};

use chaski_core::{BoxService, Layer, Service, service_fn, stack};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The allocator of the system, which counts for each thread.
struct Counting;

// SAFETY: memory is given and taken by the system's allocator alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: whoever calls keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: whoever calls keeps the same contract, and `alloc` gave what the system gave.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

/// A layer that does nothing, as one writes it.
struct Plain;

struct Around<S>(S);

impl<S> Layer<S> for Plain {
    type Service = Around<S>;

    fn layer(&self, inner: S) -> Around<S> {
        Around(inner)
    }
}

impl<S: Service<u64>> Service<u64> for Around<S> {
    type Output = S::Output;
    type Error = S::Error;

    async fn serve(&self, input: u64) -> Result<S::Output, S::Error> {
        self.0.serve(input).await
    }
}

async fn leaf(number: u64) -> Result<u64, Infallible> {
    Ok(number + 1)
}

/// How often a call allocates that is over with its first poll.
fn allocations(service: &impl Service<u64, Output = u64, Error = Infallible>) -> usize {
    let before = ALLOCATIONS.get();
    let answer = pin!(service.serve(41)).poll(&mut Context::from_waker(Waker::noop()));
    let allocated = ALLOCATIONS.get() - before;
    assert_eq!(answer, Poll::Ready(Ok(42)));
    allocated
}

#[test]
fn ten_layers_allocate_nothing() {
    let layers = (Plain, Plain, Plain, Plain, Plain, Plain, Plain, Plain, Plain, Plain);
    assert_eq!(allocations(&stack(&layers, service_fn(leaf))), 0);
    // What is boxed allocates its future, so allocations are counted.
    assert_eq!(allocations(&BoxService::new(stack(&layers, service_fn(leaf)))), 1);
}
