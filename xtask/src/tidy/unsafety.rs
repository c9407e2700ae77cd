//! `unsafe` stands only in files that say why they need it, and each use says why it is sound.

use crate::finding::Finding;
use crate::source::{self, Line, has_word};

/// How many lines of code may stand between the comment and what it speaks of: attributes, the start of a statement.
const REACH: usize = 3;

pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let lines = source::lines(text);
    let declared = declares_unsafe(&lines);
    let mut findings = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if !has_word(&line.code, "unsafe") {
            continue;
        }
        if !declared {
            let advice = "`unsafe` in a file without `#![expect(unsafe_code, reason = \"..\")]`";
            findings.push(Finding::at(path, index + 1, advice));
        }
        if needs_comment(&lines[index..]) && !is_explained(&lines[..=index]) {
            let advice = "state in a `// SAFETY:` comment above why this is sound";
            findings.push(Finding::at(path, index + 1, advice));
        }
    }
    findings
}

/// Whether the file expects the lint `unsafe_code` anywhere, however the attribute is broken into lines.
fn declares_unsafe(lines: &[Line]) -> bool {
    let code: String = lines.iter().flat_map(|line| line.code.chars()).filter(|c| !c.is_whitespace()).collect();
    code.match_indices("expect(").any(|(start, _)| {
        let arguments = &code[start..];
        let end = arguments.find(')').unwrap_or(arguments.len());
        has_word(&arguments[..end], "unsafe_code")
    })
}

/// Blocks and impls are claims made here; functions and traits hand the claim to their caller.
fn needs_comment(lines: &[Line]) -> bool {
    let code: String = lines.iter().take(2).map(|line| line.code.as_str()).collect::<Vec<_>>().join(" ");
    code.match_indices("unsafe").any(|(start, word)| {
        // A second line is only looked at for what the first line's `unsafe` stands before.
        let rest = code[start + word.len()..].trim_start();
        start < lines[0].code.len() && (rest.starts_with('{') || (rest.starts_with("impl") && has_word(rest, "impl")))
    })
}

/// Whether the last line, or the lines right above it, carry a comment that argues safety.
fn is_explained(lines: &[Line]) -> bool {
    let mut code_lines = 0;
    for (index, line) in lines.iter().rev().enumerate() {
        if line.comment.as_ref().is_some_and(|comment| comment.contains("SAFETY:")) {
            return true;
        }
        if index > 0 && line.comment.is_none() {
            code_lines += 1;
        }
        if code_lines > REACH {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECLARED: &str = "#![expect(\n    unsafe_code,\n    reason = \"calls (the) kernel\"\n)]\n";

    fn lines(text: &str) -> Vec<String> {
        check("a.rs", text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_explained_block_in_a_declared_file_passes() {
        for text in [
            "// SAFETY: the pointer is valid.\nunsafe { f() }",
            "// SAFETY: the pointer is valid,\n// because it was just made.\nlet x =\n    unsafe { f() };",
            "unsafe { f() } // SAFETY: it is valid.",
            "// SAFETY: no shared state.\nunsafe impl Send for X {}",
            "/// # Safety\n/// The pointer must be valid.\nunsafe fn f() {}",
        ] {
            assert_eq!(lines(&format!("{DECLARED}{text}")), [""; 0], "{text}");
        }
        assert_eq!(lines("#[expect(unsafe_code, reason = \"x\")]\n// SAFETY: y.\nunsafe { f() }"), [""; 0]);
    }

    #[test]
    fn an_unexplained_block_or_impl_is_found() {
        for text in [
            "unsafe { f() }",
            "unsafe\n{ f() }",
            "unsafe impl Send for X {}",
            "// SAFETY: too far away.\na();\nb();\nc();\nd();\nunsafe { f() }",
        ] {
            let found = lines(&format!("{DECLARED}{text}"));
            assert_eq!(found.len(), 1, "{text}");
            assert!(found[0].contains("SAFETY"), "{text}");
        }
    }

    #[test]
    fn an_undeclared_file_is_found() {
        let found = lines("// SAFETY: fine.\nunsafe { f() }");
        assert_eq!(found, ["a.rs:2: `unsafe` in a file without `#![expect(unsafe_code, reason = \"..\")]`"]);
    }

    #[test]
    fn the_word_elsewhere_is_nothing() {
        assert_eq!(lines("// unsafe { }\nlet s = \"unsafe {\"; let unsafe_code = 1;"), [""; 0]);
    }
}
