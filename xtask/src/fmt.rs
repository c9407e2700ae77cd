//! `cargo xtask fmt [--fix]`: formatting.

use crate::{Result, process};

/// This workspace, and the one in it that it excludes.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "benches/peers/Cargo.toml"];

pub(crate) fn run(arguments: &[String]) -> Result {
    let check = match arguments {
        [] => true,
        [flag] if flag == "--fix" => false,
        other => return Err(format!("takes `--fix` or nothing, but got {other:?}").into()),
    };
    for manifest in MANIFESTS {
        let mut cargo = process::cargo();
        cargo.args(["fmt", "--all", "--manifest-path", manifest]);
        if check {
            cargo.arg("--check");
        }
        process::run(&mut cargo)?;
    }
    Ok(())
}
