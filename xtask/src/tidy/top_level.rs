//! The top level is closed: a new thing goes into one of the rooms that exist.

use std::collections::BTreeSet;

use crate::finding::Finding;

const ALLOWED: [&str; 15] = [
    "Cargo.lock",
    "Cargo.toml",
    "CHANGELOG.md",
    "README.md",
    "benches",
    "book",
    "clippy.toml",
    "crates",
    "deny.toml",
    "examples",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "taplo.toml",
    "typos.toml",
    "xtask",
];

pub(crate) fn check(files: &[String]) -> Vec<Finding> {
    let entries: BTreeSet<&str> = files.iter().filter_map(|path| path.split('/').next()).collect();
    entries
        .into_iter()
        .filter(|entry| !is_allowed(entry))
        .map(|entry| {
            Finding::in_file(entry, "the top level is closed: move this into crates, examples, benches, xtask or book")
        })
        .collect()
}

fn is_allowed(entry: &str) -> bool {
    entry.starts_with('.') || entry.starts_with("LICENSE-") || ALLOWED.contains(&entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_rooms_pass_and_new_ones_do_not() {
        let files = [
            ".gitignore",
            ".github/workflows/ci.yml",
            "Cargo.toml",
            "LICENSE-MIT",
            "crates/core/src/lib.rs",
            "xtask/src/main.rs",
            "docs/a.md",
            "docs/b.md",
            "NOTES.md",
        ]
        .map(str::to_owned);
        let found: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("NOTES.md: "));
        assert!(found[1].starts_with("docs: "));
    }
}
