//! `cargo xtask features [CRATE]...`: every crate builds with no features, with its defaults, and with each one alone.
//!
//! The check is clippy with warnings denied, because plain `cargo check` cannot deny them without building every
//! dependency anew, and an unused import is what a forgotten feature gate looks like.

use crate::manifest::Manifest;
use crate::{Result, process, workspace};

/// Crates whose codecs build without a runtime.
const WITHOUT_TOKIO: [&str; 3] = ["chaski-core", "chaski-http-core", "chaski-tls"];

pub(crate) fn run(arguments: &[String]) -> Result {
    let files = workspace::files()?;
    let root = workspace::root_manifest()?;
    let manifests = workspace::manifests(&files, &root)?;
    let crates: Vec<&Manifest> = manifests.iter().filter(|manifest| manifest.folder().starts_with("crates/")).collect();
    let chosen = choose(&crates, arguments)?;
    for manifest in &chosen {
        for selection in selections(&manifest.features()) {
            println!("features: {} {}", manifest.name(), selection.join(" "));
            process::run(
                process::cargo()
                    .args(["clippy", "--quiet", "--package", manifest.name()])
                    .args(selection)
                    .args(["--", "-D", "warnings"]),
            )?;
        }
    }
    for name in WITHOUT_TOKIO {
        if chosen.iter().any(|manifest| manifest.name() == name) {
            check_without_tokio(name)?;
        } else if arguments.is_empty() {
            println!("features: note: {name} does not exist yet, so nothing shows that it builds without tokio");
        }
    }
    Ok(())
}

fn choose<'a>(crates: &[&'a Manifest], names: &[String]) -> Result<Vec<&'a Manifest>> {
    if names.is_empty() {
        return Ok(crates.to_vec());
    }
    names
        .iter()
        .map(|name| {
            crates
                .iter()
                .find(|manifest| manifest.name() == name)
                .copied()
                .ok_or_else(|| format!("no package under crates/ is called `{name}`").into())
        })
        .collect()
}

/// The arguments of each build, without repeating one that would be the same.
fn selections<'a>(features: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut all = vec![vec!["--no-default-features"]];
    if features.is_empty() {
        return all;
    }
    all.push(Vec::new());
    all.extend(features.iter().map(|feature| vec!["--no-default-features", "--features", feature]));
    all
}

fn check_without_tokio(name: &str) -> Result {
    println!("features: {name} without tokio");
    let tree = process::output(
        process::cargo()
            .args(["tree", "--package", name, "--no-default-features"])
            .args(["--edges", "normal", "--prefix", "none"]),
    )?;
    match runtime_in(&tree) {
        None => Ok(()),
        Some(line) => Err(format!("{name} without default features still depends on {line}").into()),
    }
}

/// The first line of a dependency tree that names tokio or a crate of its family.
fn runtime_in(tree: &str) -> Option<&str> {
    tree.lines().find(|line| line.strip_prefix("tokio").is_some_and(|rest| rest.starts_with([' ', '-'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_built_alone() {
        assert_eq!(selections(&[]), [["--no-default-features"]]);
        let empty: [&str; 0] = [];
        assert_eq!(
            selections(&["http"]),
            [
                ["--no-default-features"].as_slice(),
                empty.as_slice(),
                ["--no-default-features", "--features", "http"].as_slice(),
            ]
        );
    }

    #[test]
    fn tokio_is_found_in_a_tree_and_its_namesakes_are_not() {
        assert_eq!(runtime_in("chaski-core v0.1.0 (/x)\nbytes v1.0.0\n"), None);
        assert_eq!(runtime_in("a v1.0.0\ntokio v1.54.0 (*)\n"), Some("tokio v1.54.0 (*)"));
        assert_eq!(runtime_in("tokio-util v0.7.0\n"), Some("tokio-util v0.7.0"));
        assert_eq!(runtime_in("tokioskop v0.1.0\n"), None);
    }
}
