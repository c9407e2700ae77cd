//! `cargo xtask doc`: the API documentation, warnings denied.

use crate::{Result, no_arguments, process};

pub(crate) fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    process::run(
        process::cargo().args(["doc", "--workspace", "--no-deps", "--all-features"]).env("RUSTDOCFLAGS", "-Dwarnings"),
    )
}
