//! The one structural rule: a layer crate depends, among workspace crates, on core alone.

use crate::finding::Finding;
use crate::manifest::Manifest;

const CORE: &str = "chaski-core";

/// Folders whose crates may name several layer crates: that is what they are for.
const COMPOSERS: [&str; 4] = ["crates/stacks", "crates/cli", "crates/chaski", "crates/fuzz"];

pub(crate) fn check(root: &Manifest, manifests: &[Manifest]) -> Vec<Finding> {
    let names: Vec<&str> = manifests.iter().map(Manifest::name).collect();
    let mut findings = Vec::new();
    for manifest in manifests {
        let folder = manifest.folder();
        let Some(short) = folder.strip_prefix("crates/") else {
            continue;
        };
        findings.extend(check_name(manifest, short));
        if COMPOSERS.contains(&folder) {
            continue;
        }
        for dependency in manifest.dependencies() {
            let package = dependency.package(root);
            // A crate of ours that is not there yet is ours nonetheless.
            let is_ours = names.contains(&package) || package.starts_with("chaski");
            let advice = if !is_ours {
                continue;
            } else if manifest.name() == CORE {
                format!("core depends on no workspace crate, but names `{package}`")
            } else if package != CORE {
                format!(
                    "a layer crate depends on `{CORE}` alone, but names `{package}`: \
                     take it as a generic parameter, or meet it in `stacks`"
                )
            } else {
                continue;
            };
            let line = manifest.line_of(&dependency.section, dependency.key);
            let section = &dependency.section;
            findings.push(Finding::at(&manifest.path, line, format!("[{section}] {advice}")));
        }
    }
    findings
}

/// Folder `crates/x` holds package `chaski-x`; the facade is `crates/chaski`.
fn check_name(manifest: &Manifest, short: &str) -> Option<Finding> {
    let expected = match short {
        "chaski" => short.to_owned(),
        _ => format!("chaski-{short}"),
    };
    (manifest.name() != expected).then(|| {
        Finding::at(
            &manifest.path,
            manifest.line_of("package", "name"),
            format!("the package in this folder is called `{expected}`"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(folder: &str, rest: &str) -> Manifest {
        let name = match folder {
            "chaski" => "chaski".to_owned(),
            _ => format!("chaski-{folder}"),
        };
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        Manifest::parse(&format!("crates/{folder}/Cargo.toml"), &text).unwrap()
    }

    fn lines(manifests: &[Manifest]) -> Vec<String> {
        let root = Manifest::parse(
            "Cargo.toml",
            "[workspace.dependencies]\nresolver = { package = \"chaski-dns\", path = \"crates/dns\" }",
        )
        .unwrap();
        check(&root, manifests).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn layers_may_name_core_and_foreign_crates() {
        let net = manifest(
            "net",
            "[dependencies]\nchaski-core.workspace = true\nbytes.workspace = true\n\
             [dev-dependencies]\nchaski-core = { workspace = true, features = [\"test-util\"] }",
        );
        assert_eq!(lines(&[net]), [""; 0]);
    }

    #[test]
    fn layers_may_not_name_each_other_in_any_table() {
        for table in [
            "[dependencies]\nchaski-net.workspace = true",
            "[dev-dependencies]\nchaski-net = \"1\"",
            "[build-dependencies]\nchaski-net.workspace = true",
            "[target.'cfg(unix)'.dev-dependencies]\nchaski-net.workspace = true",
            "[dependencies]\nshort = { package = \"chaski-net\", version = \"1\" }",
            "[dependencies]\nresolver.workspace = true",
        ] {
            let found = lines(&[manifest("tls", table), manifest("net", "")]);
            assert_eq!(found.len(), 1, "{table}");
            assert!(found[0].starts_with("crates/tls/Cargo.toml:4: ["), "{}", found[0]);
        }
    }

    #[test]
    fn core_names_nobody() {
        let found = lines(&[manifest("core", "[dev-dependencies]\nchaski-net.workspace = true")]);
        assert_eq!(
            found,
            ["crates/core/Cargo.toml:4: [dev-dependencies] core depends on no workspace crate, but names `chaski-net`"]
        );
    }

    #[test]
    fn composers_name_whom_they_need() {
        for folder in ["stacks", "cli", "chaski", "fuzz"] {
            let found = lines(&[manifest(folder, "[dependencies]\nchaski-net.workspace = true")]);
            assert_eq!(found, [""; 0], "{folder}");
        }
    }

    #[test]
    fn a_package_is_named_for_its_folder() {
        let stray = Manifest::parse("crates/net/Cargo.toml", "[package]\nname = \"net\"").unwrap();
        assert_eq!(lines(&[stray]), ["crates/net/Cargo.toml:2: the package in this folder is called `chaski-net`"]);
    }
}
