//! Tests of inputs, put together from closures: for [`branch`](chaski_core::branch), and for
//! [`HijackLayer`](crate::HijackLayer).
//!
//! A matcher is any `Fn(&Input) -> bool`, and so is what these functions give.
//!
//! ```
//! use chaski_core::{Service, branch, service_fn};
//! use chaski_middleware::matcher::{and, not, or};
//! use std::convert::Infallible;
//!
//! # async fn example() -> Result<(), Infallible> {
//! let even = |n: &u32| n.is_multiple_of(2);
//! let big = |n: &u32| *n > 9;
//! let service = branch(
//!     or(and(even, big), not(or(even, big))),
//!     service_fn(async |_: u32| Ok::<_, Infallible>("big and even, or neither")),
//!     service_fn(async |_: u32| Ok::<_, Infallible>("one of the two")),
//! );
//! assert_eq!(service.serve(10).await?, "big and even, or neither");
//! assert_eq!(service.serve(4).await?, "one of the two");
//! # Ok(()) }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```

/// Matches what both match. The second is not asked when the first says no.
pub fn and<Input: ?Sized, A, B>(a: A, b: B) -> impl Fn(&Input) -> bool
where
    A: Fn(&Input) -> bool,
    B: Fn(&Input) -> bool,
{
    move |input| a(input) && b(input)
}

/// Matches what either matches. The second is not asked when the first says yes.
pub fn or<Input: ?Sized, A, B>(a: A, b: B) -> impl Fn(&Input) -> bool
where
    A: Fn(&Input) -> bool,
    B: Fn(&Input) -> bool,
{
    move |input| a(input) || b(input)
}

/// Matches what the other does not.
pub fn not<Input: ?Sized, A>(a: A) -> impl Fn(&Input) -> bool
where
    A: Fn(&Input) -> bool,
{
    move |input| !a(input)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_truth_tables_hold() {
        let (a, b) = (|input: &(bool, bool)| input.0, |input: &(bool, bool)| input.1);
        for (input, both, either, neither) in [
            ((false, false), false, false, true),
            ((false, true), false, true, false),
            ((true, false), false, true, false),
            ((true, true), true, true, false),
        ] {
            assert_eq!(and(a, b)(&input), both, "{input:?}");
            assert_eq!(or(a, b)(&input), either, "{input:?}");
            assert_eq!(not(or(a, b))(&input), neither, "{input:?}");
        }
    }

    #[test]
    fn the_second_is_asked_only_when_it_decides() {
        let asked = RefCell::new(Vec::new());
        let second = |name: &'static str| {
            let asked = &asked;
            move |_: &()| {
                asked.borrow_mut().push(name);
                true
            }
        };
        for answer in [false, true] {
            let first = move |_: &()| answer;
            and(first, second(if answer { "and, yes" } else { "and, no" }))(&());
            or(first, second(if answer { "or, yes" } else { "or, no" }))(&());
        }
        assert_eq!(*asked.borrow(), ["or, no", "and, yes"]);
    }
}
