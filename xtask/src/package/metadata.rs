//! What a registry asks of a manifest. Cargo itself only warns, and the registry refuses when it is too late.

use crate::finding::Finding;
use crate::manifest::Manifest;

/// The registry takes at most so many keywords, and so many categories.
const MOST: usize = 5;

/// The longest keyword that the registry takes, in characters.
const LONGEST_KEYWORD: usize = 20;

/// The texts that the licences ask to be given along with every copy: links to those at the root, which packing follows.
const LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// Those of the registry's categories (<https://crates.io/category_slugs>) that suit a crate of ours. It drops unknown
/// ones without a word, so that a typing error would go unseen.
const CATEGORIES: [&str; 12] = [
    "asynchronous",
    "authentication",
    "caching",
    "command-line-utilities",
    "concurrency",
    "cryptography",
    "development-tools::testing",
    "encoding",
    "network-programming",
    "web-programming",
    "web-programming::http-client",
    "web-programming::http-server",
];

/// Checks one crate against `files`, the paths of all files from the workspace root.
pub(crate) fn check(root: &Manifest, manifest: &Manifest, files: &[String]) -> Vec<Finding> {
    let mut messages = Vec::new();
    for key in ["description", "license"] {
        if manifest.package_text(root, key).is_none_or(|text| text.trim().is_empty()) {
            messages.push((key, format!("a published crate states its `{key}`")));
        }
    }
    messages.extend(missing_licenses(manifest, files).map(|message| ("license", message)));
    messages.extend(check_readme(root, manifest, files).map(|message| ("readme", message)));
    messages.extend(check_keywords(&manifest.package_list(root, "keywords")).map(|message| ("keywords", message)));
    messages
        .extend(check_categories(&manifest.package_list(root, "categories")).map(|message| ("categories", message)));
    messages
        .into_iter()
        .map(|(key, message)| Finding::at(&manifest.path, manifest.line_of("package", key), message))
        .collect()
}

fn missing_licenses(manifest: &Manifest, files: &[String]) -> impl Iterator<Item = String> {
    let paths = LICENSES.map(|name| format!("{}/{name}", manifest.folder()));
    paths
        .into_iter()
        .filter(|path| !files.contains(path))
        .map(|path| format!("{path} does not exist, a link to that at the root"))
}

fn check_readme(root: &Manifest, manifest: &Manifest, files: &[String]) -> Option<String> {
    let Some(readme) = manifest.package_text(root, "readme") else {
        return Some("a published crate names its `readme`".to_owned());
    };
    let path = format!("{}/{readme}", manifest.folder());
    (!files.contains(&path)).then(|| format!("the readme {path} does not exist"))
}

fn check_keywords(keywords: &[&str]) -> Option<String> {
    if keywords.is_empty() || keywords.len() > MOST {
        return Some(format!("{} keywords; a registry takes 1 to {MOST}", keywords.len()));
    }
    let bad = keywords.iter().find(|keyword| !is_keyword(keyword))?;
    Some(format!(
        "`{bad}` is no keyword: at most {LONGEST_KEYWORD} ASCII letters, digits, `-`, `_` and `+`, \
         and the first is a letter or a digit"
    ))
}

fn is_keyword(keyword: &str) -> bool {
    keyword.len() <= LONGEST_KEYWORD
        && keyword.starts_with(|first: char| first.is_ascii_alphanumeric())
        && keyword.chars().all(|c| c.is_ascii_alphanumeric() || "-_+".contains(c))
}

fn check_categories(categories: &[&str]) -> Option<String> {
    if categories.is_empty() || categories.len() > MOST {
        return Some(format!("{} categories; a registry takes 1 to {MOST}", categories.len()));
    }
    let unknown = categories.iter().find(|category| !CATEGORIES.contains(category))?;
    Some(format!("`{unknown}` is no category that is listed in xtask/src/package/metadata.rs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "\
[workspace.package]
license = \"MIT OR Apache-2.0\"
keywords = [\"network\", \"http\"]
categories = [\"network-programming\"]
";

    const GOOD: &str = "\
[package]
name = \"chaski-x\"
description = \"What it is\"
license.workspace = true
keywords.workspace = true
categories.workspace = true
readme = \"README.md\"
";

    const FILES: [&str; 4] =
        ["crates/x/Cargo.toml", "crates/x/LICENSE-APACHE", "crates/x/LICENSE-MIT", "crates/x/README.md"];

    fn lines(text: &str) -> Vec<String> {
        found(text, &FILES)
    }

    fn found(text: &str, files: &[&str]) -> Vec<String> {
        let root = Manifest::parse("Cargo.toml", ROOT).unwrap();
        let manifest = Manifest::parse("crates/x/Cargo.toml", text).unwrap();
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        check(&root, &manifest, &files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_package_holds_the_texts_of_its_licences() {
        let without: Vec<&str> = FILES.into_iter().filter(|file| !file.ends_with("MIT")).collect();
        let expected = "crates/x/Cargo.toml:4: crates/x/LICENSE-MIT does not exist, a link to that at the root";
        assert_eq!(found(GOOD, &without), [expected]);
    }

    #[test]
    fn a_complete_manifest_passes() {
        assert_eq!(lines(GOOD), [""; 0]);
    }

    #[test]
    fn what_a_registry_would_refuse_is_found() {
        for (from, to, start) in [
            ("description = \"What it is\"\n", "", "1: a published crate states its `description`"),
            ("\"What it is\"", "\" \"", "3: a published crate states its `description`"),
            ("license.workspace = true\n", "", "1: a published crate states its `license`"),
            ("readme = \"README.md\"\n", "", "1: a published crate names its `readme`"),
            ("README.md", "READ.md", "7: the readme crates/x/READ.md does not exist"),
            ("keywords.workspace = true\n", "", "1: 0 keywords"),
            ("keywords.workspace = true", "keywords = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]", "5: 6 keywords"),
            ("keywords.workspace = true", "keywords = [\"two words\"]", "5: `two words` is no keyword"),
            ("keywords.workspace = true", "keywords = [\"-x\"]", "5: `-x` is no keyword"),
            ("keywords.workspace = true", "keywords = [\"abcdefghijklmnopqrstu\"]", "5: `abcdefghijklmnopqrstu` is no"),
            ("categories.workspace = true\n", "", "1: 0 categories"),
            ("categories.workspace = true", "categories = [\"networking\"]", "6: `networking` is no category"),
        ] {
            let found = lines(&GOOD.replace(from, to));
            assert_eq!(found.len(), 1, "{from} -> {to}: {found:?}");
            assert!(found[0].starts_with(&format!("crates/x/Cargo.toml:{start}")), "{from} -> {to}: {found:?}");
        }
    }
}
