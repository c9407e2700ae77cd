use super::*;

fn code(text: &str) -> Vec<String> {
    lines(text).into_iter().map(|line| line.code).collect()
}

#[test]
fn comments_are_not_code() {
    let lines = lines("let a = 1; // todo!()\n/// doc\n/* one /* two */\nthree */ b");
    assert_eq!(lines[0].code, "let a = 1; ");
    assert_eq!(lines[0].comment.as_deref(), Some(" todo!()"));
    assert_eq!(lines[1].comment.as_deref(), Some("/ doc"));
    assert!(!lines[2].has_code());
    assert_eq!(lines[3].code, " b");
}

#[test]
fn the_content_of_literals_is_blank() {
    assert_eq!(code(r#"f("a // \" {", x)"#), [r#"f(""""""""""", x)"#]);
    assert_eq!(code("r#\"a\"b\"# + 1"), ["r#\"\"\"\"\"# + 1"]);
    assert_eq!(code("br\"{\" c\"}\" b\"}\""), ["br\"\"\" c\"\"\" b\"\"\""]);
    assert_eq!(code("r#type + 1"), ["r#type + 1"]);
    assert_eq!(code("\"a\\\nb {\" + 1"), ["\"\"\"", "\"\"\"\" + 1"]);
}

#[test]
fn character_literals_are_not_lifetimes() {
    assert_eq!(code("match c { '{' => 1 }"), ["match c { ''' => 1 }"]);
    assert_eq!(code(r"['\'', '\\', '\u{7d}', b'\n', '}']"), ["['''', '''', '''''''', b'''', ''']"]);
    assert_eq!(code("fn f<'a>(x: &'a str) {}"), ["fn f<'a>(x: &'a str) {}"]);
    assert_eq!(code("'outer: loop { // x"), ["'outer: loop { "]);
    // A quote in a character literal does not open a string.
    assert_eq!(code("'\"' // c"), ["''' "]);
}

#[test]
fn words_are_whole() {
    assert!(has_word("unsafe { x }", "unsafe"));
    assert!(!has_word("#![expect(unsafe_code)]", "unsafe"));
    assert!(has_word("todo!()", "todo!("));
    assert!(!has_word("my_todo!()", "todo!("));
}

#[test]
fn test_code_is_marked() {
    let text = "\
fn a() {}
#[cfg(test)]
mod tests {
    fn b() { let c = '}'; }
}
fn d() {}
#[cfg(not(test))]
fn e() {}
#[cfg(any(test, feature = \"x\"))]
use f::{g, h};
#[cfg(all(test, not(loom)))]
mod more;
fn i() {}
#[cfg(not(any(test, loom)))]
fn j() {}";
    let marks = test_lines(&lines(text));
    let marked: Vec<usize> = (0..marks.len()).filter(|&line| marks[line]).map(|line| line + 1).collect();
    assert_eq!(marked, [2, 3, 4, 5, 9, 10, 11, 12]);
}

#[test]
fn an_inner_attribute_marks_the_rest_of_the_file() {
    let marks = test_lines(&lines("//! Doc.\n#![cfg(test)]\n\nfn a() {}"));
    assert_eq!(marks, [false, true, true, true]);
}

#[test]
fn an_item_ends_at_its_brace_or_semicolon() {
    let lines = lines("fn a(x: [u8; 2]) {\n    b();\n}\nmod c;\n");
    assert_eq!(item_end(&lines, 0), 2);
    assert_eq!(item_end(&lines, 3), 3);
}
