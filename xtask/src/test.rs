//! `cargo xtask test [ARGUMENTS]`: all tests and doctests, and a count of what was skipped.
//!
//! A test that needs a foreign program and does not find it says so and passes. Test runners hide what passing tests
//! print, so such a test also appends its line to the file that `CHASKI_SKIP_LOG` names, which is read here at the end.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Result, peers, process, workspace};

/// Where a skipped test leaves its line.
const SKIP_LOG: &str = "CHASKI_SKIP_LOG";

/// Set to `required`, a missing program fails the test that needs it.
pub(crate) const PEERS: &str = "CHASKI_PEERS";

/// What a run may leave out or insist on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// On a developer's machine: stop early, skip what the machine lacks.
    Local,
    /// Guarding main: see every failure, and skip nothing.
    Ci,
}

pub(crate) fn run(arguments: &[String]) -> Result {
    run_in(Mode::Local, arguments)
}

pub(crate) fn run_in(mode: Mode, arguments: &[String]) -> Result {
    let log = workspace::scratch()?.join("skipped.txt");
    fs::write(&log, "").map_err(|error| format!("cannot write {}: {error}", log.display()))?;

    let outcome = run_all(mode, arguments, &log);
    // What was skipped is said after a failure too: it may be the reason.
    report_skipped(&fs::read_to_string(&log).unwrap_or_default());
    outcome
}

fn run_all(mode: Mode, arguments: &[String], log: &Path) -> Result {
    let mut tests = if process::find("cargo-nextest").is_some() {
        nextest(mode)
    } else {
        println!("test: cargo-nextest is not installed, so `cargo test` runs the tests");
        cargo_test(mode)
    };
    tests.args(selection(arguments)).args(arguments);
    process::run(prepared(&mut tests, mode, log)?)?;

    // Arguments choose among tests and belong to their runner; a doctest knows none of them.
    if !arguments.is_empty() {
        println!("test: doctests run only without arguments");
        return Ok(());
    }
    let mut doctests = process::cargo();
    doctests.args(["test", "--doc", "--workspace", "--all-features"]);
    process::run(prepared(&mut doctests, mode, log)?)
}

fn nextest(mode: Mode) -> Command {
    let mut cargo = process::cargo();
    cargo.args(["nextest", "run"]);
    if mode == Mode::Ci {
        cargo.args(["--profile", "ci"]);
    }
    cargo
}

fn cargo_test(mode: Mode) -> Command {
    let mut cargo = process::cargo();
    // Unit tests of libraries and binaries count as `--tests`; the examples are built for the tests that run them.
    // Doctests come after, and benches are not tests.
    cargo.args(["test", "--tests", "--examples"]);
    if mode == Mode::Ci {
        cargo.arg("--no-fail-fast");
    }
    cargo
}

fn prepared<'a>(command: &'a mut Command, mode: Mode, log: &Path) -> Result<&'a mut Command> {
    command.env(SKIP_LOG, log);
    process::prepend_path(command, &peers::wheels_path()?)?;
    if mode == Mode::Ci {
        command.env(PEERS, "required");
    }
    Ok(command)
}

/// All packages with all features, unless the arguments name packages themselves.
fn selection(arguments: &[String]) -> &'static [&'static str] {
    let names_packages = arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    if names_packages { &["--all-features"] } else { &["--workspace", "--all-features"] }
}

fn report_skipped(log: &str) {
    let skipped = skipped(log);
    for line in &skipped {
        println!("{line}");
    }
    match skipped.len() {
        0 => println!("test: no test was skipped"),
        1 => println!("test: 1 test was skipped"),
        many => println!("test: {many} tests were skipped"),
    }
}

/// The lines of skipped tests, sorted; a doctest or a retried run may have left one twice.
fn skipped(log: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = log.lines().filter(|line| line.starts_with("skipped: ")).collect();
    lines.sort_unstable();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn named_packages_replace_the_workspace() {
        assert_eq!(selection(&[]), ["--workspace", "--all-features"]);
        assert_eq!(selection(&owned(&["head"])), ["--workspace", "--all-features"]);
        assert_eq!(selection(&owned(&["-p", "chaski-net"])), ["--all-features"]);
        assert_eq!(selection(&owned(&["--package=chaski-net"])), ["--all-features"]);
        assert_eq!(selection(&owned(&["--", "-p"])), ["--workspace", "--all-features"]);
    }

    #[test]
    fn each_skipped_test_counts_once() {
        let log = "skipped: b needs nginx\nnoise\nskipped: a needs curl\nskipped: b needs nginx\n";
        assert_eq!(skipped(log), ["skipped: a needs curl", "skipped: b needs nginx"]);
    }
}
