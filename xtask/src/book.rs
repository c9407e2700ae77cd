//! `cargo xtask book`: the guide is built, and its links lead somewhere.
//!
//! The Rust examples in its pages are not compiled here: they are doctests of the facade, which includes the pages
//! with `#![doc = include_str!(..)]`, so that `cargo xtask test` runs them against the real crates.

use std::collections::BTreeSet;

use crate::finding::{self, Finding};
use crate::{Result, no_arguments, peers, process, workspace};

/// Where the pages are.
const PAGES: &str = "book/src/";

const SUMMARY: &str = "book/src/SUMMARY.md";

pub(crate) fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    let files: BTreeSet<String> = workspace::files()?.into_iter().collect();
    if !files.iter().any(|file| file.starts_with(PAGES)) {
        println!("book: note: {PAGES} has no pages yet, so there is nothing to build");
        return Ok(());
    }
    if !files.contains(SUMMARY) {
        return Err(format!("{SUMMARY} is missing: mdBook builds what it lists").into());
    }
    let mut findings = Vec::new();
    for page in files.iter().filter(|file| is_page(file)) {
        findings.extend(check_links(page, &workspace::read(page)?, &files));
    }
    findings.extend(check_listed(&workspace::read(SUMMARY)?, &files));
    finding::report(findings)?;
    match peers::mdbook()? {
        Some(mdbook) => process::run(process::command(mdbook).args(["build", "book"])),
        None => {
            println!("book: note: mdbook is not installed, so only the links were checked");
            Ok(())
        }
    }
}

fn is_page(file: &str) -> bool {
    file.starts_with(PAGES) && file.ends_with(".md")
}

/// Relative links of a page must lead to files that are in the tree.
fn check_links(page: &str, text: &str, files: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (link, line) in links(text) {
        let target = link.split(['#', '?']).next().unwrap_or_default();
        if target.is_empty() || target.contains(':') {
            continue;
        }
        match resolve(page, target) {
            Some(path) if files.contains(&path) => {}
            _ => findings.push(Finding::at(page, line, format!("`{target}` leads to no file"))),
        }
    }
    findings
}

/// A page that the summary does not list is not in the book.
fn check_listed(summary: &str, files: &BTreeSet<String>) -> Vec<Finding> {
    let listed: BTreeSet<String> = links(summary).iter().filter_map(|(link, _)| resolve(SUMMARY, link)).collect();
    files
        .iter()
        .filter(|file| is_page(file) && *file != SUMMARY && !listed.contains(*file))
        .map(|file| Finding::in_file(file, format!("is not listed in {SUMMARY}")))
        .collect()
}

/// The targets of Markdown links outside code, each with its line.
fn links(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Between single backticks is code: every second piece.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for rest in prose.split("](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                let target = target.split_whitespace().next().unwrap_or_default();
                found.push((target.trim_matches(['<', '>']).to_owned(), number));
            }
        }
    }
    found
}

/// The path from the root that a link on `page` means; `None` above the root.
fn resolve(page: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_lead_to_files() {
        let files = files(&["book/src/SUMMARY.md", "book/src/a.md", "book/src/guide/b.md"]);
        let text = "[a](../a.md#top), [web](https://example.org/x), [here](#x)\n\
                    ```text\n[c](none.md)\n```\n`[d](none.md)` and [e](none.md)\n";
        let found: Vec<String> =
            check_links("book/src/guide/b.md", text, &files).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["book/src/guide/b.md:5: `none.md` leads to no file"]);
    }

    #[test]
    fn every_page_is_listed() {
        let files = files(&["book/src/SUMMARY.md", "book/src/a.md", "book/src/b.md", "book/src/b.png"]);
        let found = check_listed("- [A](a.md)\n", &files);
        assert_eq!(found, [Finding::in_file("book/src/b.md", "is not listed in book/src/SUMMARY.md")]);
    }
}
