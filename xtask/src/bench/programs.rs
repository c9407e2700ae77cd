//! The programs that are measured: chaski's own, and those of `benches/peers`, a workspace of its own.

use std::path::PathBuf;
use std::process::Command;

use crate::{Result, process, workspace};

const PEERS: &str = "benches/peers";

/// Peers that every scenario has one of, and that take no longer to build than chaski does. Others are built when they are
/// asked for by name.
const SMALL_PEERS: [&str; 4] = ["limit", "hyper-auto", "hyper-hello", "hyper-proxy"];

/// The folders that hold the programs.
pub(super) struct Folders {
    pub(super) chaski: PathBuf,
    pub(super) peers: PathBuf,
}

/// Builds what instructions are counted of.
pub(super) fn build_for_gate() -> Result<Folders> {
    build(&["--package", "chaski-benches", "--bin", "bench-h1"], &["hyper-hello"])
}

/// Builds what a comparison cannot do without.
pub(super) fn build_for_comparison() -> Result<Folders> {
    build(&["--package", "chaski-benches", "--package", "chaski-cli"], &SMALL_PEERS)
}

/// Builds packages of the peers' workspace.
pub(super) fn build_peers(packages: &[String]) -> Result {
    let mut cargo = release_build();
    // rama asks for a newer compiler than it needs.
    cargo.args(["--ignore-rust-version", "--manifest-path"]).arg(manifest());
    for package in packages {
        cargo.args(["--package", package]);
    }
    process::run(cargo.env("CARGO_TARGET_DIR", peers_target()))
}

fn build(own: &[&str], peers: &[&str]) -> Result<Folders> {
    process::run(release_build().args(own))?;
    let peers: Vec<String> = peers.iter().map(|&package| package.to_owned()).collect();
    build_peers(&peers)?;
    Ok(Folders { chaski: workspace::target().join("release"), peers: peers_target().join("release") })
}

fn release_build() -> Command {
    let mut cargo = process::cargo();
    // What is built incrementally is cut into other units, and costs 4 to 9% more instructions.
    cargo.args(["build", "--release", "--locked", "--quiet"]).env("CARGO_INCREMENTAL", "0");
    cargo
}

fn manifest() -> PathBuf {
    workspace::root().join(PEERS).join("Cargo.toml")
}

/// Where cargo builds the peers when it is called by hand, too.
fn peers_target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workspace::root().join(target),
        None => workspace::root().join(PEERS).join("target"),
    }
}
