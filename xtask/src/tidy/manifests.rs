//! What is stated once, in the root manifest, is inherited by every member.

use crate::finding::Finding;
use crate::manifest::Manifest;

const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

pub(crate) fn check(root: &Manifest, manifests: &[Manifest]) -> Vec<Finding> {
    let members = root.workspace_list("members");
    manifests.iter().flat_map(|manifest| check_one(&members, manifest)).collect()
}

fn check_one(members: &[&str], manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    let path = &manifest.path;
    if !is_member(members, manifest.folder()) {
        findings.push(Finding::in_file(path, "is not among the workspace's `members` in Cargo.toml"));
    }
    if !manifest.inherits(&["lints"]) {
        let advice = "add `[lints]` with `workspace = true`";
        findings.push(Finding::in_file(path, advice));
    }
    for key in INHERITED {
        if !manifest.inherits(&["package", key]) {
            let line = manifest.line_of("package", key);
            let advice = format!("write `{key}.workspace = true` in `[package]`");
            findings.push(Finding::at(path, line, advice));
        }
    }
    for dependency in manifest.dependencies() {
        if !dependency.is_inherited() {
            let line = manifest.line_of(&dependency.section, dependency.key);
            let advice = format!(
                "[{}] `{}` states its own source: put it into the root's \
                 `[workspace.dependencies]` and write `workspace = true` here",
                dependency.section, dependency.key
            );
            findings.push(Finding::at(path, line, advice));
        }
    }
    findings
}

fn is_member(members: &[&str], folder: &str) -> bool {
    members.iter().any(|member| match member.strip_suffix("/*") {
        Some(parent) => folder.rsplit_once('/').is_some_and(|(up, _)| up == parent),
        None => *member == folder,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
[package]
name = \"chaski-x\"
version.workspace = true
edition = { workspace = true }
rust-version.workspace = true
license.workspace = true

[dependencies]
bytes = { workspace = true, optional = true }

[lints]
workspace = true
";

    fn lines(text: &str) -> Vec<String> {
        let root = Manifest::parse("Cargo.toml", "[workspace]\nmembers = [\"crates/x\"]").unwrap();
        let member = Manifest::parse("crates/x/Cargo.toml", text).unwrap();
        check(&root, &[member]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_member_that_inherits_everything_passes() {
        assert_eq!(lines(GOOD), [""; 0]);
    }

    #[test]
    fn what_is_not_inherited_is_found() {
        for (from, to, start) in [
            ("version.workspace = true", "version = \"1.0.0\"", "crates/x/Cargo.toml:3: write `version"),
            ("license.workspace = true\n", "", "crates/x/Cargo.toml:1: write `license"),
            ("[lints]\nworkspace = true\n", "", "crates/x/Cargo.toml: add `[lints]`"),
            ("[lints]\nworkspace = true", "[lints.rust]\nunsafe_code = \"warn\"", "crates/x/Cargo.toml: add `[lints]`"),
            ("{ workspace = true, optional = true }", "\"1\"", "crates/x/Cargo.toml:9: [dependencies] `bytes`"),
            (
                "{ workspace = true, optional = true }",
                "{ path = \"..\" }",
                "crates/x/Cargo.toml:9: [dependencies] `bytes`",
            ),
        ] {
            // `replacen`: the first `version.workspace` is the package's.
            let found = lines(&GOOD.replacen(from, to, 1));
            assert_eq!(found.len(), 1, "{from} -> {to}: {found:?}");
            assert!(found[0].starts_with(start), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn members_are_listed_by_name_or_by_folder() {
        assert!(is_member(&["crates/core", "xtask"], "xtask"));
        assert!(is_member(&["crates/*"], "crates/core"));
        assert!(!is_member(&["crates/*"], "crates/core/inner"));
        assert!(!is_member(&["crates/core"], "crates/net"));
    }
}
