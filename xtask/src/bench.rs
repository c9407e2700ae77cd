//! `cargo xtask bench`: what the programs in `benches/` cost, beside what the same work costs others.
//!
//! The measuring is done by the scripts in `benches/`; here their programs are built, and their figures judged.

mod gate;
mod programs;

use crate::{Result, process};

/// What the scripts need, and the Debian package that has it.
const FOR_GATE: [(&str, &str); 2] = [("python3", "python3"), ("valgrind", "valgrind")];
const FOR_COMPARE: [(&str, &str); 5] = [
    ("python3", "python3"),
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("openssl", "openssl"),
    ("taskset", "util-linux"),
];

pub(crate) fn run(arguments: &[String]) -> Result {
    match arguments.split_first() {
        Some((first, [])) if first == "--gate" => gate(),
        Some((first, rest)) if first == "--compare" => compare(rest),
        Some((first, peers)) if first == "--build" && !peers.is_empty() => programs::build_peers(peers),
        _ => Err("takes `--gate`, `--compare [SCENARIO]... [--rounds N] [--secs N]`, or `--build PEER...`".into()),
    }
}

/// Counts instructions of chaski and of hyper in one run, and fails when their ratio has risen.
pub(crate) fn gate() -> Result {
    require(&FOR_GATE)?;
    gate::run()
}

/// Runs the driver against the peers that are built or installed. Arguments are the driver's own.
fn compare(arguments: &[String]) -> Result {
    require(&FOR_COMPARE)?;
    let folders = programs::build_for_comparison()?;
    process::run(
        process::command("python3")
            .arg("benches/compare.py")
            .args(arguments)
            .arg("--chaski")
            .arg(folders.chaski)
            .arg("--peers")
            .arg(folders.peers),
    )
}

fn require(programs: &[(&str, &str)]) -> Result {
    let missing = missing(programs, |program| process::find(program).is_some());
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("cannot measure here: {}", missing.join("; ")).into())
}

fn missing(programs: &[(&str, &str)], is_installed: impl Fn(&str) -> bool) -> Vec<String> {
    programs
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|(program, package)| format!("`{program}` is missing, which Debian has in the package {package}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        assert_eq!(missing(&FOR_COMPARE, |_| true), [""; 0]);
        assert_eq!(
            missing(&FOR_COMPARE, |program| program != "taskset"),
            ["`taskset` is missing, which Debian has in the package util-linux"]
        );
    }

    #[test]
    fn unknown_arguments_are_refused() {
        for arguments in [&[][..], &["--gate", "hello"], &["--build"], &["h1-hello"]] {
            let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
            assert!(run(&arguments).unwrap_err().to_string().starts_with("takes `--gate`"), "{arguments:?}");
        }
    }
}
