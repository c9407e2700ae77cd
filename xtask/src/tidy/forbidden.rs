//! Leftovers, and exceptions that give no reason. Clippy sees most of them, but not in code that is compiled out.

use crate::finding::Finding;
use crate::source::{self, has_word};

/// What must not stand in code, and what to do instead.
const FORBIDDEN: [(&str, &str); 6] = [
    ("todo!(", "`todo!` is unfinished work: finish it or leave it out"),
    ("unimplemented!(", "`unimplemented!` is unfinished work: return an error or leave it out"),
    ("dbg!(", "`dbg!` is a leftover: remove it"),
    ("#[allow(", "use `#[expect(.., reason = \"..\")]` instead of `#[allow]`"),
    ("#![allow(", "use `#![expect(.., reason = \"..\")]` instead of `#![allow]`"),
    ("#[ignore]", "say why: `#[ignore = \"reason\"]`"),
];

pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, number) in source::lines(text).iter().zip(1..) {
        for (needle, advice) in FORBIDDEN {
            if has_word(&line.code, needle) {
                findings.push(Finding::at(path, number, advice));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check("a.rs", text).len()
    }

    #[test]
    fn leftovers_are_found() {
        for text in [
            "todo!()",
            "    unimplemented!(\"later\")",
            "let x = dbg!(y);",
            "#[allow(dead_code)]",
            "#![allow(dead_code)]",
            "#[ignore]",
        ] {
            assert_eq!(count(text), 1, "{text}");
        }
    }

    #[test]
    fn words_in_comments_strings_and_other_names_are_not() {
        for text in [
            "// todo!()",
            "let x = \"dbg!(\";",
            "my_todo!()",
            "#[expect(dead_code, reason = \"#[allow(\")]",
            "#[ignore = \"needs a second machine\"]",
            "#[allowed]",
        ] {
            assert_eq!(count(text), 0, "{text}");
        }
    }

    #[test]
    fn a_finding_names_its_line() {
        assert_eq!(
            check("a.rs", "fn a() {\n    dbg!(1);\n}"),
            [Finding::at("a.rs", 2, "`dbg!` is a leftover: remove it")]
        );
    }
}
