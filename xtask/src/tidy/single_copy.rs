//! Crates whose types cross our boundaries, or whose weight is felt, are built once.

use toml::{Table, Value};

use crate::Result;
use crate::finding::Finding;

const SINGLE: [&str; 8] = ["bytes", "h2", "http", "http-body", "opentelemetry", "quinn-proto", "rustls", "tokio"];

pub(crate) fn check(lock: &str) -> Result<Vec<Finding>> {
    let lock: Table = lock.parse().map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages = lock.get("package").and_then(Value::as_array);
    let mut findings = Vec::new();
    for name in SINGLE {
        let versions: Vec<&str> = packages
            .into_iter()
            .flatten()
            .filter(|package| package.get("name").and_then(Value::as_str) == Some(name))
            .filter_map(|package| package.get("version")?.as_str())
            .collect();
        if versions.len() > 1 {
            let versions = versions.join(", ");
            findings.push(Finding::in_file(
                "Cargo.lock",
                format!("{name} is there more than once ({versions}): see `cargo tree -d -i {name}`"),
            ));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_versions_of_http_are_found_and_two_of_others_pass() {
        let package = |name: &str, version: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n");
        let one = package("http", "1.5.0") + &package("syn", "1.0.0") + &package("syn", "2.0.0");
        assert_eq!(check(&one).unwrap(), []);
        let two = one + &package("http", "0.2.12");
        assert_eq!(
            check(&two).unwrap()[0].to_string(),
            "Cargo.lock: http is there more than once (1.5.0, 0.2.12): see `cargo tree -d -i http`"
        );
    }
}
