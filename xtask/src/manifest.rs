//! A `Cargo.toml`, as far as the checks need it.

use toml::{Table, Value};

use crate::Result;

/// A parsed manifest that still knows its lines.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Path from the workspace root.
    pub(crate) path: String,
    table: Table,
    text: String,
}

/// One entry of a dependency table.
#[derive(Debug)]
pub(crate) struct Dependency<'a> {
    /// The key that it stands under.
    pub(crate) key: &'a str,
    /// The table that it stands in, as written: `dev-dependencies`, `target.'cfg(loom)'.dependencies`.
    pub(crate) section: String,
    value: &'a Value,
}

impl Manifest {
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self> {
        let table = text.parse::<Table>().map_err(|error| format!("{path}: {error}"))?;
        Ok(Self { path: path.to_owned(), table, text: text.to_owned() })
    }

    /// The folder that holds it.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The package's name, or nothing in a virtual manifest.
    pub(crate) fn name(&self) -> &str {
        self.value(&["package", "name"]).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether `table.key` is inherited: `key.workspace = true`.
    pub(crate) fn inherits(&self, keys: &[&str]) -> bool {
        self.value(keys).and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
    }

    /// Whether the package may go to a registry. The root's and other manifests without a package may not.
    pub(crate) fn is_published(&self) -> bool {
        self.table.contains_key("package")
            && self.value(&["package", "publish"]).and_then(Value::as_bool) != Some(false)
    }

    /// A text in `[package]`, the package's own or inherited from `root`.
    pub(crate) fn package_text<'a>(&'a self, root: &'a Self, key: &str) -> Option<&'a str> {
        self.package_value(root, key)?.as_str()
    }

    /// A list of texts in `[package]`, the package's own or inherited from `root`; empty when there is none.
    pub(crate) fn package_list<'a>(&'a self, root: &'a Self, key: &str) -> Vec<&'a str> {
        match self.package_value(root, key).and_then(Value::as_array) {
            Some(list) => list.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        }
    }

    fn package_value<'a>(&'a self, root: &'a Self, key: &str) -> Option<&'a Value> {
        if self.inherits(&["package", key]) {
            return root.value(&["workspace", "package", key]);
        }
        self.value(&["package", key])
    }

    /// The names of the features, without `default`.
    pub(crate) fn features(&self) -> Vec<&str> {
        match self.table.get("features").and_then(Value::as_table) {
            Some(features) => features.keys().map(String::as_str).filter(|name| *name != "default").collect(),
            None => Vec::new(),
        }
    }

    /// All dependencies: normal, dev and build, for every target.
    pub(crate) fn dependencies(&self) -> Vec<Dependency<'_>> {
        let mut all = Vec::new();
        collect_dependencies(&self.table, "", &mut all);
        if let Some(targets) = self.table.get("target").and_then(Value::as_table) {
            for (target, tables) in targets {
                if let Some(tables) = tables.as_table() {
                    collect_dependencies(tables, &format!("target.'{target}'."), &mut all);
                }
            }
        }
        all
    }

    /// A list of paths in `[workspace]`: `members` or `exclude`.
    pub(crate) fn workspace_list(&self, key: &str) -> Vec<&str> {
        match self.value(&["workspace", key]).and_then(Value::as_array) {
            Some(list) => list.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        }
    }

    /// In the root manifest: the package that a key of `[workspace.dependencies]` names.
    pub(crate) fn workspace_package<'a>(&'a self, key: &'a str) -> &'a str {
        self.value(&["workspace", "dependencies", key, "package"]).and_then(Value::as_str).unwrap_or(key)
    }

    /// The line, counted from 1, where a key is first written at or after `section`'s head; 1 when it is not found.
    pub(crate) fn line_of(&self, section: &str, key: &str) -> usize {
        let lines = || self.text.lines().map(str::trim_start).zip(1..);
        let head = lines().find(|(line, _)| line.starts_with(&format!("[{section}"))).map_or(1, |(_, number)| number);
        lines()
            .skip(head)
            .take_while(|(line, _)| !line.starts_with('['))
            .find(|(line, _)| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '=', ' '])))
            .map_or(head, |(_, number)| number)
    }

    fn value(&self, keys: &[&str]) -> Option<&Value> {
        let (first, rest) = keys.split_first()?;
        rest.iter().try_fold(self.table.get(*first)?, |value, key| value.get(*key))
    }
}

impl<'a> Dependency<'a> {
    /// Whether it is inherited from the workspace.
    pub(crate) fn is_inherited(&self) -> bool {
        self.value.get("workspace").and_then(Value::as_bool) == Some(true)
    }

    /// The package meant, which a renamed dependency hides behind its key.
    pub(crate) fn package(&self, root: &'a Manifest) -> &'a str {
        if self.is_inherited() {
            return root.workspace_package(self.key);
        }
        self.value.get("package").and_then(Value::as_str).unwrap_or(self.key)
    }
}

fn collect_dependencies<'a>(tables: &'a Table, prefix: &str, all: &mut Vec<Dependency<'a>>) {
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        if let Some(table) = tables.get(kind).and_then(Value::as_table) {
            all.extend(table.iter().map(|(key, value)| Dependency { key, section: format!("{prefix}{kind}"), value }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[package]
name = \"chaski-x\"
version.workspace = true

[features]
default = [\"fast\"]
fast = []

[dependencies]
bytes.workspace = true

[target.'cfg(unix)'.dev-dependencies]
other = { package = \"chaski-net\", version = \"1\" }
";

    #[test]
    fn reads_names_features_and_every_dependency_table() {
        let manifest = Manifest::parse("crates/x/Cargo.toml", TEXT).unwrap();
        let root = Manifest::parse("Cargo.toml", "[workspace]").unwrap();
        assert_eq!(manifest.name(), "chaski-x");
        assert_eq!(manifest.folder(), "crates/x");
        assert!(manifest.inherits(&["package", "version"]));
        assert!(!manifest.inherits(&["package", "license"]));
        assert_eq!(manifest.features(), ["fast"]);
        let found: Vec<_> =
            manifest.dependencies().iter().map(|d| (d.section.clone(), d.package(&root), d.is_inherited())).collect();
        assert_eq!(
            found,
            [
                ("dependencies".to_owned(), "bytes", true),
                ("target.'cfg(unix)'.dev-dependencies".to_owned(), "chaski-net", false),
            ]
        );
    }

    #[test]
    fn reads_what_a_package_states_or_inherits() {
        let manifest = Manifest::parse("crates/x/Cargo.toml", TEXT).unwrap();
        let root = Manifest::parse("Cargo.toml", "[workspace.package]\nversion = \"7.0.0\"").unwrap();
        assert_eq!(manifest.package_text(&root, "version"), Some("7.0.0"));
        assert_eq!(manifest.package_text(&root, "name"), Some("chaski-x"));
        assert_eq!(manifest.package_text(&root, "license"), None);
        assert!(manifest.is_published());
        assert!(!root.is_published());
        let private = Manifest::parse("xtask/Cargo.toml", "[package]\npublish = false").unwrap();
        assert!(!private.is_published());
    }

    #[test]
    fn knows_the_line_of_a_key() {
        let manifest = Manifest::parse("crates/x/Cargo.toml", TEXT).unwrap();
        assert_eq!(manifest.line_of("package", "version"), 3);
        assert_eq!(manifest.line_of("dependencies", "bytes"), 10);
        assert_eq!(manifest.line_of("target.'cfg(unix)'.dev-dependencies", "other"), 13);
        assert_eq!(manifest.line_of("package", "absent"), 1);
    }
}
