//! `cargo xtask lint`: clippy with the workspace's lints, warnings denied.

use crate::{Result, no_arguments, process};

pub(crate) fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    process::run(
        process::cargo()
            .args(["clippy", "--workspace", "--all-targets", "--all-features"])
            .args(["--", "-D", "warnings"]),
    )
}
