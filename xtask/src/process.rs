//! Running other programs, and finding out whether they exist.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, workspace};

/// Where distributions put servers; often not on the `PATH` of an ordinary user.
const SERVER_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The cargo that runs us, at the workspace root.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = command(program);
    // What `cargo run` tells about xtask's own package is not true of the packages built next: build scripts that
    // watch these variables would run again each time the caller changes.
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&key);
        }
    }
    command
}

/// A program at the workspace root, with the servers' directories at the end of its `PATH`.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    if let Ok(path) = env::join_paths(search_path()) {
        command.env("PATH", path);
    }
    command
}

/// Puts a directory in front of the command's `PATH`, where it is looked into first.
pub(crate) fn prepend_path(command: &mut Command, directory: &Path) -> Result {
    let path = env::join_paths([directory.to_owned()].into_iter().chain(search_path()));
    command.env("PATH", path.map_err(|error| format!("{}: {error}", directory.display()))?);
    Ok(())
}

/// Runs to the end with the terminal's own input and output; a failure names the command.
pub(crate) fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| format!("cannot start `{}`: {error}", shown(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{}` failed ({status})", shown(command)).into())
}

/// Runs to the end and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("cannot start `{}`: {error}", shown(command)))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{}` failed: {}", shown(command), reason.trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The path of a program that is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    search_path().into_iter().map(|directory| directory.join(program)).find(|path| is_executable(path))
}

fn search_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = env::split_paths(&path).collect();
    for directory in SERVER_DIRECTORIES.map(PathBuf::from) {
        if !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    directories
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}
