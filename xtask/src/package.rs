//! `cargo xtask package`: every crate that is published can be packaged, and a registry would take it.
//!
//! Packages are not built again here: the steps before built the same files. Packed together, our crates find each other
//! although none of them is published yet.

mod metadata;

use crate::manifest::Manifest;
use crate::{Result, finding, no_arguments, process, workspace};

pub(crate) fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    let files = workspace::files()?;
    let root = workspace::root_manifest()?;
    let manifests = workspace::manifests(&files, &root)?;
    let published: Vec<&Manifest> = manifests.iter().filter(|manifest| manifest.is_published()).collect();

    finding::report(published.iter().flat_map(|manifest| metadata::check(&root, manifest, &files)).collect())?;

    let mut cargo = process::cargo();
    // What is not committed yet is packed too: this is a check, and nothing is sent.
    cargo.args(["package", "--quiet", "--no-verify", "--allow-dirty"]);
    for manifest in &published {
        cargo.args(["--package", manifest.name()]);
    }
    process::run(&mut cargo)?;
    println!("package: {} crates can be packaged", published.len());
    Ok(())
}
