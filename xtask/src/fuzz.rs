//! `cargo xtask fuzz [TARGET] [--secs N] [--jobs N]`: libFuzzer over one target, or over each in turn.
//!
//! `rustc` instruments, with options that are stable, and libFuzzer comes with the crate `libfuzzer-sys`, which a C++
//! compiler builds: no nightly toolchain, and nothing to install besides that.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, process, workspace};

const PACKAGE: &str = "chaski-fuzz";

/// The committed inputs, a folder for each target.
const CORPUS: &str = "crates/fuzz/corpus";

/// Words that inputs are made of, in files named for their targets; one file may serve several.
const DICTIONARIES: &str = "crates/fuzz/dictionaries";

/// Tell libFuzzer which code an input has reached, and what was compared with what.
const INSTRUMENTATION: [&str; 6] = [
    "--cfg fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// The longest input that is tried. Faults of framing need few bytes, and short inputs run fast.
const MAX_LEN: usize = 4096;

/// An input that takes longer is a finding.
const TIMEOUT_SECS: u64 = 10;

pub(crate) fn run(arguments: &[String]) -> Result {
    let options = Options::parse(arguments)?;
    let targets = targets(&workspace::files()?);
    if options.list {
        for target in targets {
            println!("{target}");
        }
        return Ok(());
    }
    let chosen = choose(&targets, options.target.as_deref())?;
    let binary = build()?;
    let mut failed = Vec::new();
    for target in &chosen {
        println!("\nfuzz: {target} for {} seconds", options.secs);
        if let Err(error) = fuzz(&binary, target, &options) {
            eprintln!("fuzz: {target}: {error}");
            failed.push(target.as_str());
        }
    }
    match failed.as_slice() {
        [] => {
            println!("\nfuzz: nothing was found ({})", chosen.join(", "));
            Ok(())
        }
        failed => Err(format!(
            "something was found in {}. `cargo run -p {PACKAGE} -- TARGET FILE` runs the file again that is named above; \
             once mended, it goes to {CORPUS}/TARGET",
            failed.join(", ")
        )
        .into()),
    }
}

/// What the arguments ask for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    list: bool,
    target: Option<String>,
    /// For each target.
    secs: u64,
    /// Processes at a time.
    jobs: u64,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self { list: false, target: None, secs: 60, jobs: 1 };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let number = arguments.next().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
                number.ok_or_else(|| format!("{argument} takes a number above 0"))
            };
            match argument.as_str() {
                "--list" => options.list = true,
                "--secs" => options.secs = number()?,
                "--jobs" => options.jobs = number()?,
                flag if flag.starts_with('-') => return Err(format!("no option is called `{flag}`").into()),
                target if options.target.is_none() => options.target = Some(target.to_owned()),
                second => return Err(format!("takes one target or none, but got `{second}` too").into()),
            }
        }
        Ok(options)
    }
}

/// The targets, which are the folders of the corpus.
fn targets(files: &[String]) -> Vec<String> {
    let mut targets: Vec<String> = files
        .iter()
        .filter_map(|file| file.strip_prefix(CORPUS)?.strip_prefix('/')?.split_once('/'))
        .map(|(target, _)| target.to_owned())
        .collect();
    targets.dedup();
    targets
}

fn choose(targets: &[String], name: Option<&str>) -> Result<Vec<String>> {
    match name {
        None => Ok(targets.to_vec()),
        Some(name) if targets.iter().any(|target| target == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(format!("no target is called `{name}`: {}", targets.join(", ")).into()),
    }
}

/// Builds the instrumented program, which has all targets in it.
fn build() -> Result<PathBuf> {
    if ["c++", "g++", "clang++"].iter().all(|compiler| process::find(compiler).is_none())
        && env::var_os("CXX").is_none()
    {
        return Err("libFuzzer is built with a C++ compiler, and there is none (on Debian: g++)".into());
    }
    let host = host()?;
    // With a target named, build scripts and macros are built without the instrumentation, and apart from all else.
    process::run(
        process::cargo()
            .args(["build", "--package", PACKAGE, "--profile", "fuzz", "--target", &host])
            .env("RUSTFLAGS", INSTRUMENTATION.join(" ")),
    )?;
    let scratch = workspace::scratch()?;
    let target = scratch.parent().ok_or("the build directory has no parent")?;
    Ok(target.join(host).join("fuzz").join(PACKAGE))
}

/// The triple of this machine.
fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = process::output(process::command(rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("`rustc -vV` does not tell its host")?.to_owned())
}

fn fuzz(binary: &Path, target: &str, options: &Options) -> Result {
    // What is found along the way stays in the build directory, and the next run begins with it.
    let own = workspace::scratch()?.join("fuzz").join(target);
    let (corpus, findings) = (own.join("corpus"), own.join("findings"));
    for folder in [&corpus, &findings] {
        fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    }
    let mut command = Command::new(binary);
    command.current_dir(&own).env("CHASKI_FUZZ_TARGET", target);
    command.arg(&corpus).arg(workspace::root().join(CORPUS).join(target));
    command.arg(format!("-artifact_prefix={}/", findings.display()));
    command.args([
        format!("-max_total_time={}", options.secs),
        format!("-max_len={MAX_LEN}"),
        format!("-timeout={TIMEOUT_SECS}"),
        // Its results without each step on the way.
        "-verbosity=0".to_owned(),
        "-print_final_stats=1".to_owned(),
    ]);
    if options.jobs > 1 {
        // Several processes go on, by default, after an input that takes too long or too much memory.
        command.arg(format!("-fork={}", options.jobs)).args(["-ignore_timeouts=0", "-ignore_ooms=0"]);
    }
    if let Some(dictionary) = dictionary(target) {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let known = files(&findings)?;
    process::run(&mut command)?;
    // What one of several processes finds while the time runs out is left there, but changes no exit status.
    match files(&findings)?.difference(&known).next() {
        None => Ok(()),
        Some(found) => Err(format!("found {}", found.display()).into()),
    }
}

/// What was found so far. An input that took long is told there too, but any input does on a machine that has other work; one
/// that takes too long has another name.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let files: io::Result<BTreeSet<_>> =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut files = files.map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let is_slow = |name: &OsStr| name.to_string_lossy().starts_with("slow-unit-");
    files.retain(|file| !file.file_name().is_some_and(is_slow));
    Ok(files)
}

/// The words of a target, if it has any.
fn dictionary(target: &str) -> Option<PathBuf> {
    let path = workspace::root().join(DICTIONARIES).join(format!("{target}.dict"));
    path.is_file().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options> {
        Options::parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_choose_target_time_and_jobs() {
        let defaults = Options { list: false, target: None, secs: 60, jobs: 1 };
        assert_eq!(parse(&[]).unwrap(), defaults);
        let expected = Options { target: Some("server".to_owned()), secs: 600, jobs: 2, ..defaults };
        assert_eq!(parse(&["server", "--secs", "600", "--jobs", "2"]).unwrap(), expected);
        assert!(parse(&["--list"]).unwrap().list);
        for wrong in [&["--secs"][..], &["--secs", "0"], &["--jobs", "many"], &["--fast"], &["server", "client"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn targets_are_the_folders_of_the_corpus() {
        let files =
            ["a.rs", "crates/fuzz/corpus/b/1", "crates/fuzz/corpus/b/2", "crates/fuzz/corpus/c/1"].map(str::to_owned);
        let targets = targets(&files);
        assert_eq!(targets, ["b", "c"]);
        assert_eq!(choose(&targets, None).unwrap(), ["b", "c"]);
        assert_eq!(choose(&targets, Some("c")).unwrap(), ["c"]);
        assert_eq!(choose(&targets, Some("d")).unwrap_err().to_string(), "no target is called `d`: b, c");
    }
}
