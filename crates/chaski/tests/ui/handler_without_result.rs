//! A handler that gives its answer bare, not as a `Result`.

use chaski::{
    check,
    http::{Body, Request, Response},
    service_fn,
};

fn main() {
    let hello = service_fn(async |_: Request| Response::new(Body::full("hello")));
    let _ = check::<Request, _>(hello);
}
