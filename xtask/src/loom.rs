//! `cargo xtask loom`: the models of the lock-free code, under every interleaving.

use crate::{Result, no_arguments, process, workspace};

pub(crate) fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    // The cfg is a flag of the compiler, so everything is built again: in a directory of its own, or the next ordinary
    // build would start afresh too. tokio does not build under it, hence no default features.
    let target = workspace::scratch()?.join("loom");
    process::run(
        process::cargo()
            .args(["test", "-p", "chaski-core", "--no-default-features", "--release", "--test", "loom_extensions"])
            .env("RUSTFLAGS", "--cfg loom")
            .env("CARGO_TARGET_DIR", target),
    )
}
