//! Runs the models of `src/extensions/loom.rs`, and compiles to nothing without `--cfg loom`:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test -p chaski-core --no-default-features --release --test loom_extensions
//! ```
//!
//! The module is compiled into this binary a second time, here on loom's atomics. The library keeps those of the standard
//! library even under `--cfg loom`, because loom's cannot be made in constants.
#![cfg(loom)]

#[path = "../src/extensions/mod.rs"]
pub mod extensions;
