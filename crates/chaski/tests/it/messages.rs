//! What the compiler says to the mistakes of a first hour.
//!
//! The texts are the compiler's, and change with its versions: they are compared on the toolchain on which they were
//! recorded. To record them anew, remove `tests/ui/*.stderr`, run the test with `TRYBUILD=overwrite`, and read them.

use std::{fs, path::Path, process::Command};

/// The toolchain on which the messages were recorded.
const TOOLCHAIN: &str = "rustc 1.95.";

/// A newcomer reads a message to its end if it fits on a screen.
const MAX_LINES: usize = 24;

#[test]
fn mistakes_are_told_as_they_were_recorded() {
    let rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into())).arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&rustc.stdout);
    if !version.starts_with(TOOLCHAIN) {
        println!("skipped: mistakes_are_told_as_they_were_recorded needs {TOOLCHAIN}x, and this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

#[test]
fn every_message_is_short_and_points_at_the_users_line() {
    let mut messages = 0;
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "stderr") {
            continue;
        }
        messages += 1;
        let text = fs::read_to_string(&path).unwrap();
        let name = path.with_extension("rs").file_name().unwrap().to_string_lossy().into_owned();
        for error in text.split("\n\n").filter(|part| part.starts_with("error")) {
            let lines = error.lines().count();
            assert!(lines <= MAX_LINES, "{name}: {lines} lines:\n{error}");
            let place = error.lines().find(|line| line.trim_start().starts_with("--> ")).unwrap();
            assert!(place.contains(&format!("tests/ui/{name}:")), "{name} points elsewhere: {place}");
        }
    }
    assert!(messages >= 10, "{messages} mistakes are recorded");
}
