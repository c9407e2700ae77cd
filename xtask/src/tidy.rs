//! `cargo xtask tidy`: the rules that no compiler checks.

mod budget;
mod file_size;
mod forbidden;
mod layers;
mod manifests;
mod single_copy;
mod top_level;
mod unsafety;

use crate::{Result, finding, no_arguments, workspace};

pub(crate) fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    let files = workspace::files()?;
    let sources = workspace::rust_sources(&files)?;
    let root = workspace::root_manifest()?;
    let manifests = workspace::manifests(&files, &root)?;

    let mut findings = top_level::check(&files);
    findings.extend(layers::check(&root, &manifests));
    findings.extend(manifests::check(&root, &manifests));
    findings.extend(single_copy::check(&workspace::read("Cargo.lock")?)?);
    for (path, text) in &sources {
        findings.extend(file_size::check(path, text));
        findings.extend(forbidden::check(path, text));
        findings.extend(unsafety::check(path, text));
    }
    let core = budget::count(&sources);
    println!(
        "tidy: core has {core} of {} lines; {} source files, {} manifests",
        budget::LIMIT,
        sources.len(),
        manifests.len()
    );
    findings.extend(budget::check(core));
    finding::report(findings)
}
