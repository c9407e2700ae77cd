//! Foreign programs, which may be missing.

use std::{fs, io::Write, process::Command};

/// Whether a foreign program is there, or a module of Python's (`python3:curl_cffi`). Without it a test is skipped, unless it is
/// required.
pub(crate) fn has(test: &str, program: &str) -> bool {
    let probe = match program.split_once(':') {
        Some((python, module)) => format!("{python} -c 'import {module}'"),
        None => format!("command -v {program}"),
    };
    let found = Command::new("sh").args(["-c", &probe]).output().unwrap().status.success();
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
        if !($($crate::peers::has($test, $program))&&+) {
            return;
        }
    };
}
pub(crate) use needs;
