//! A file that cannot be read in one sitting is split.

use crate::finding::Finding;

const LIMIT: usize = 1_000;

pub(crate) fn check(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > LIMIT).then(|| Finding::in_file(path, format!("{lines} lines, at most {LIMIT} are allowed; split it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_lines_pass_and_one_more_does_not() {
        assert_eq!(check("a.rs", &"x\n".repeat(1_000)), None);
        assert!(check("a.rs", &"x\n".repeat(1_001)).is_some());
    }
}
