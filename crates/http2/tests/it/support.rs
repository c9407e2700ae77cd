//! Foreign programs, which may be missing.

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

/// A program, with the directories of servers on its path and nothing to read.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// Whether a foreign program is there, or a module of Python's (`python3:httpx`). Without it a test is skipped, unless it is
/// required.
pub(crate) fn has(test: &str, program: &str) -> bool {
    let probe = match program.split_once(':') {
        Some((python, module)) => format!("{python} -c 'import {module}'"),
        None => format!("command -v {program}"),
    };
    let found = command("sh").args(["-c", &probe]).output().unwrap().status.success();
    if found {
        return true;
    }
    assert!(
        std::env::var("CHASKI_PEERS").as_deref() != Ok("required"),
        "{test} needs {program}, and CHASKI_PEERS=required"
    );
    let line = format!("skipped: {test} needs {program}\n");
    print!("{line}");
    if let Some(log) = std::env::var_os("CHASKI_SKIP_LOG") {
        fs::OpenOptions::new().append(true).create(true).open(log).unwrap().write_all(line.as_bytes()).unwrap();
    }
    false
}

/// Leaves the test, with a line that says so, where a foreign program is missing.
macro_rules! needs {
    ($test:expr, $($program:expr),+) => {
        if !($($crate::support::has($test, $program))&&+) {
            return;
        }
    };
}
pub(crate) use needs;

/// Runs a program to its end, for two minutes at most; what it wrote, if it has succeeded.
pub(crate) async fn run(program: &str, arguments: Vec<String>) -> String {
    let mut all = vec!["120".to_owned(), program.to_owned()];
    all.extend(arguments);
    let output: Output =
        tokio::task::spawn_blocking(move || command("timeout").args(&all).output()).await.unwrap().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}
