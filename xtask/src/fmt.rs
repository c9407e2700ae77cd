//! `cargo xtask fmt [--fix]`: formatting.

use crate::{Result, process};

pub(crate) fn run(arguments: &[String]) -> Result {
    let mut cargo = process::cargo();
    cargo.args(["fmt", "--all"]);
    match arguments {
        [] => cargo.arg("--check"),
        [flag] if flag == "--fix" => &mut cargo,
        other => return Err(format!("takes `--fix` or nothing, but got {other:?}").into()),
    };
    process::run(&mut cargo)
}
