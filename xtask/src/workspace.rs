//! The tree as it is checked: its root, its files, its manifests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::manifest::Manifest;
use crate::{Result, process};

/// The workspace root: the folder that holds this package's.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The build directory.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root().join(target),
        None => root().join("target"),
    }
}

/// A folder for what xtask itself leaves behind, in the build directory.
pub(crate) fn scratch() -> Result<PathBuf> {
    let scratch = target().join("xtask");
    fs::create_dir_all(&scratch).map_err(|error| format!("cannot create {}: {error}", scratch.display()))?;
    Ok(scratch)
}

/// Every file that is tracked or would be, relative to the root, with `/` between folders, sorted.
pub(crate) fn files() -> Result<Vec<String>> {
    let mut git = process::command("git");
    // A checkout made by another user is still only listed here, never run.
    git.args(["-c", "safe.directory=*", "ls-files", "-z"]).args(["--cached", "--others", "--exclude-standard"]);
    let listing = process::output(&mut git)?;
    let mut files: Vec<String> = listing
        .split('\0')
        .filter(|path| !path.is_empty())
        // A file that is deleted but not yet committed is still listed.
        .filter(|path| root().join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// The text of a file named relative to the root.
pub(crate) fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}").into())
}

/// The paths and texts of all Rust files among `files`.
pub(crate) fn rust_sources(files: &[String]) -> Result<Vec<(String, String)>> {
    files.iter().filter(|path| path.ends_with(".rs")).map(|path| Ok((path.clone(), read(path)?))).collect()
}

/// The root manifest.
pub(crate) fn root_manifest() -> Result<Manifest> {
    Manifest::parse("Cargo.toml", &read("Cargo.toml")?)
}

/// The manifests on disk but the root's and those that the workspace excludes, whether members yet or not.
pub(crate) fn manifests(files: &[String], root: &Manifest) -> Result<Vec<Manifest>> {
    let excluded = root.workspace_list("exclude");
    files
        .iter()
        .filter(|path| path.ends_with("/Cargo.toml"))
        .filter(|path| !excluded.iter().any(|folder| is_under(path, folder)))
        .map(|path| Manifest::parse(path, &read(path)?))
        .collect()
}

fn is_under(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_its_files_and_not_its_neighbours() {
        assert!(is_under("benches/peers/Cargo.toml", "benches/peers"));
        assert!(is_under("benches/peers/Cargo.toml", "benches/peers/"));
        assert!(!is_under("benches/peers-too/Cargo.toml", "benches/peers"));
    }
}
