//! The workspace's own commands: `cargo xtask help` lists them, `xtask/README.md` explains them.
//!
//! One file per command. What a check looks at is text (a manifest, a source file, a listing), so each check is a
//! function from text to findings, tested on small inputs beside it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks on its terminal")]

mod behaviours;
mod bench;
mod book;
mod ci;
mod doc;
mod features;
mod finding;
mod fmt;
mod fuzz;
mod lint;
mod loom;
mod manifest;
mod package;
mod peers;
mod process;
mod soak;
mod source;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

/// What a command fails with: a sentence for the person at the terminal.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a command returns.
type Result<T = ()> = std::result::Result<T, Error>;

/// Shown by `help`, and after an unknown command.
const USAGE: &str = "\
Usage: cargo xtask <command>

  ci                         everything below up to `package`, in order; what guards main
  fmt [--fix]                formatting
  lint                       clippy, warnings denied
  test [ARGUMENTS]           all tests and doctests; arguments go to the test runner
  loom                       every interleaving of the lock-free code
  tidy                       the rules that no compiler checks
  features [CRATE]...        each crate with no features, its defaults, and each feature alone
  doc                        API documentation, warnings denied
  behaviours [--missing FILE]
                             behaviour id -> tests; with a page of ids, those without a test
  book                       the guide, and its links
  bench --gate               instructions per request, against hyper's
  soak --mins N [--seed S]   mixed traffic and faults against the release build; nothing is lost, nothing leaks
  package                    every published crate can be packaged, and says what a registry asks
  bench --compare [SCENARIO]... [--rounds N] [--secs N]
                             CPU time and memory beside other projects
  bench --build PEER...      builds other projects' programs for that
  fuzz [TARGET] [--secs N] [--jobs N]
                             fuzz targets, one or each in turn, 60 seconds each; needs a C++ compiler
  fuzz --list                their names
  help                       this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let outcome = match command {
        "ci" => ci::run(rest),
        "fmt" => fmt::run(rest),
        "lint" => lint::run(rest),
        "test" => test::run(rest),
        "loom" => loom::run(rest),
        "tidy" => tidy::run(rest),
        "features" => features::run(rest),
        "doc" => doc::run(rest),
        "behaviours" => behaviours::run(rest),
        "book" => book::run(rest),
        "bench" => bench::run(rest),
        "soak" => soak::run(rest),
        "package" => package::run(rest),
        "fuzz" => fuzz::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        unknown => {
            eprint!("xtask: no command is called `{unknown}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Refuses arguments where a command takes none.
fn no_arguments(arguments: &[String]) -> Result {
    match arguments.first() {
        None => Ok(()),
        Some(first) => Err(format!("takes no arguments, but got `{first}`").into()),
    }
}
