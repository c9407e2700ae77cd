use super::*;

/// The tests of a text as they are printed, each after its ids.
fn tests(text: &str) -> Vec<String> {
    let found = scan("a.rs", text);
    assert_eq!(found.findings, [], "{text}");
    found
        .tests
        .iter()
        .map(|test| {
            let ids: Vec<String> = test.ids.iter().map(ToString::to_string).collect();
            format!("{} {test}", ids.join(" "))
        })
        .collect()
}

/// The lines of findings in a text.
fn findings(text: &str) -> Vec<String> {
    scan("a.rs", text).findings.iter().map(ToString::to_string).collect()
}

#[test]
fn ids_count_on_the_doc_line_in_the_name_and_in_a_comment_above() {
    for text in [
        "/// H1-05: linear.\n#[test]\nfn a() {}",
        "// H1-05: linear.\n#[test]\nfn a() {}",
        "#[test]\n// H1-05: linear.\nfn a() {}",
        "/// Linear.\n///\n/// See H1-05.\n#[tokio::test(start_paused = true)]\n#[cfg(unix)]\nasync fn a() {}",
        "/// H1-05\n#[cfg_attr(\n    miri,\n    ignore = \"]\"\n)] #[test] fn a() {}",
        "mod b {\n    /** H1-05 */\n    #[tokio::test(\n        flavor = \"x\"\n    )]\n    async fn a() {\n    }\n}",
    ] {
        assert_eq!(tests(text), ["H1-05 a.rs::a"], "{text}");
    }
    assert_eq!(tests("/// NET-01\n#[test]\nfn h1_05_x() {}"), ["NET-01 H1-05 a.rs::h1_05_x"]);
}

#[test]
fn a_test_says_what_waits() {
    let text = "/// LIFE-05: idle, CONNECT; waits: h2,\n/// TLS. More.\n#[test]\nfn a() {}";
    assert_eq!(tests(text), ["LIFE-05 a.rs::a (waits: h2, TLS)"]);
}

#[test]
fn an_id_in_a_test_may_repeat_in_its_body() {
    let text = "/// H1-05\n#[test]\nfn a() {\n    // H1-05 again.\n    b(\"H1-06\");\n}";
    assert_eq!(tests(text), ["H1-05 a.rs::a"]);
}

#[test]
fn an_id_that_no_test_stands_behind_is_found() {
    for (text, line) in [
        ("/// H1-05\nfn a() {}", 1),
        ("//! H1-05\n\n#[test]\nfn a() {}", 1),
        ("/// H1-05\n\n#[test]\nfn a() {}", 1),
        ("fn a() {\n    b(); // H1-05\n}", 2),
        ("#[test]\nfn a() {\n    // H1-05\n}", 3),
        ("#[test]\nfn a() {}\n// H1-05", 3),
        ("/// H1-05\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn a() {}\n}", 1),
    ] {
        let found = findings(text);
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].starts_with(&format!("a.rs:{line}: H1-05 stands outside")), "{text}");
    }
}

#[test]
fn a_range_is_found() {
    let found = findings("/// H1-05..07\n#[test]\nfn a() {}");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("a.rs:1: a range"));
}

#[test]
fn an_attribute_that_never_closes_ends_the_scan() {
    assert_eq!(tests("#[test"), [""; 0]);
}
