//! Tests that run this binary again in processes of their own, and what they need for it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};

/// A guard against hanging, not an expectation.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A test of this binary that runs in a process of its own.
pub(crate) struct Again {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Again {
    /// Starts `command`, which has the binary, the arguments and the variables already.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::unbounded_channel();
        // Ends with the process, which the test ends.
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines }
    }

    /// What follows `text` in the next line that has it.
    pub(crate) async fn line_with(&mut self, text: &str) -> String {
        let found = async {
            loop {
                let line = self.lines.recv().await.expect("the process ended early");
                if let Some((_, rest)) = line.split_once(text) {
                    return rest.to_owned();
                }
            }
        };
        timeout(LONG, found).await.unwrap()
    }

    /// Ends its standard input, which it waits for.
    pub(crate) fn close_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for its end.
    pub(crate) async fn succeeds(mut self) {
        let ended = tokio::task::spawn_blocking(move || self.child.wait().unwrap());
        assert!(timeout(LONG, ended).await.unwrap().unwrap().success());
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the standard input of this process has ended.
pub(crate) async fn input_ended() {
    let input = tokio::task::spawn_blocking(|| std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new()));
    input.await.unwrap().unwrap();
}

/// A command with the directories of servers on its path.
pub(crate) fn command(program: &str) -> Command {
    let path = format!("{}:/usr/local/sbin:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.env("PATH", path).stdin(Stdio::null());
    command
}

/// Whether a foreign program is there. Without it a test is skipped, unless it is required.
pub(crate) fn has(test: &str, program: &str) -> bool {
    if command("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success() {
        return true;
    }
    assert!(
        std::env::var("CHASKI_PEERS").as_deref() != Ok("required"),
        "{test} needs {program}, and CHASKI_PEERS=required"
    );
    skip(test, program);
    false
}

/// Says that a test was skipped for want of something that nobody can install, such as a permission, and has it counted.
pub(crate) fn skip(test: &str, what: &str) {
    let line = format!("skipped: {test} needs {what}\n");
    print!("{line}");
    if let Some(log) = std::env::var_os("CHASKI_SKIP_LOG") {
        fs::OpenOptions::new().append(true).create(true).open(log).unwrap().write_all(line.as_bytes()).unwrap();
    }
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
