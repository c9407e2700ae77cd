//! Core stays small: it is the one crate that every other depends on.

use crate::finding::Finding;
use crate::source;

/// The most lines of code that core may have, without tests and test utilities.
pub(crate) const LIMIT: usize = 5_000;

const CORE: &str = "crates/core/src/";

/// Counts core's lines that are neither blank, nor comment, nor test.
pub(crate) fn count(sources: &[(String, String)]) -> usize {
    sources.iter().filter(|(path, _)| is_counted(path)).map(|(_, text)| count_file(text)).sum()
}

pub(crate) fn check(lines: usize) -> Option<Finding> {
    (lines > LIMIT).then(|| {
        Finding::in_file(
            "crates/core/src",
            format!(
                "{lines} lines of code, at most {LIMIT} are allowed; \
                 move what only one crate needs into that crate"
            ),
        )
    })
}

fn is_counted(path: &str) -> bool {
    let Some(inside) = path.strip_prefix(CORE) else {
        return false;
    };
    let uncounted = ["tests", "tests.rs", "test_util", "test_util.rs"];
    !inside.split('/').any(|part| uncounted.contains(&part))
}

fn count_file(text: &str) -> usize {
    let lines = source::lines(text);
    let tests = source::test_lines(&lines);
    lines.iter().zip(tests).filter(|(line, is_test)| line.has_code() && !is_test).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_core_counts() {
        let text = "//! Doc.\n\nfn a() {} // why\n/* b\nc */\n#[cfg(test)]\nmod tests {\n}\nfn d() {}\n";
        let files = [
            "crates/core/src/lib.rs",
            "crates/core/src/io/pipe.rs",
            "crates/core/src/io/tests.rs",
            "crates/core/src/tests/io.rs",
            "crates/core/src/test_util.rs",
            "crates/core/src/test_util/mock.rs",
            "crates/core/tests/it/main.rs",
            "crates/net/src/lib.rs",
        ];
        let sources = files.map(|path| (path.to_owned(), text.to_owned()));
        assert_eq!(count(&sources), 4);
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        assert_eq!(check(5_000), None);
        assert!(check(5_001).is_some());
    }
}
