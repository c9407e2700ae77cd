//! Instructions per request, chaski's over hyper's, against `benches/baseline.toml`.
//!
//! Times are noise on a machine that does other things too; instruction counts are the same to 1%. Both are counted in one
//! run, so that a new compiler or a new version of what both stand on moves neither.

use std::net::TcpListener;
use std::path::Path;

use toml::Table;

use super::programs;
use crate::{Result, process, workspace};

const BASELINE: &str = "benches/baseline.toml";

/// By how much a ratio may differ from its baseline, as a share of it.
const TOLERANCE: f64 = 0.03;

pub(super) fn run() -> Result {
    let baselines = parse_baseline(&workspace::read(BASELINE)?)?;
    let folders = programs::build_for_gate()?;
    let (ours, theirs) = (folders.chaski.join("bench-h1"), folders.peers.join("hyper-hello"));
    let mut risen = Vec::new();
    for (workload, baseline) in &baselines {
        let (ours, theirs) = (count(workload, &ours)?, count(workload, &theirs)?);
        let ratio = ours / theirs;
        println!("bench: {workload}: {ours} instructions, hyper {theirs}: {ratio:.3} of that, baseline {baseline:.3}");
        match judge(ratio, *baseline) {
            Verdict::Same => {}
            Verdict::Risen => risen.push(format!("{workload} costs {ratio:.3} of hyper's, baseline {baseline:.3}")),
            Verdict::Fallen => println!("bench: {workload} is cheaper now: write {ratio:.3} into {BASELINE}"),
        }
    }
    if risen.is_empty() {
        return Ok(());
    }
    Err(format!(
        "instructions per request have risen by more than {:.0}%: {}; make them fewer, or write the new figure into \
         {BASELINE} in a commit that says what it buys",
        TOLERANCE * 100.0,
        risen.join("; ")
    )
    .into())
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Risen,
    Fallen,
}

fn judge(ratio: f64, baseline: f64) -> Verdict {
    if ratio > baseline * (1.0 + TOLERANCE) {
        Verdict::Risen
    } else if ratio < baseline * (1.0 - TOLERANCE) {
        Verdict::Fallen
    } else {
        Verdict::Same
    }
}

/// Workloads of the counter, and the ratio of each.
fn parse_baseline(text: &str) -> Result<Vec<(String, f64)>> {
    let table = text.parse::<Table>().map_err(|error| format!("{BASELINE}: {error}"))?;
    let ratio = |(workload, value): (String, toml::Value)| match value.as_float() {
        Some(ratio) if ratio > 0.0 => Ok((workload, ratio)),
        _ => Err(format!("{BASELINE}: `{workload}` is not a ratio, such as 0.95").into()),
    };
    table.into_iter().map(ratio).collect()
}

/// Instructions per request of a server program, which is told a port and a number of threads.
fn count(workload: &str, program: &Path) -> Result<f64> {
    let port = free_port()?;
    let output = process::output(
        process::command("python3")
            .args(["benches/instructions.py", "--workload", workload, &port])
            .arg(program)
            .args([port.as_str(), "1"]),
    )?;
    parse_count(&output)
}

/// Of a line such as `bench-h1 hello: 6739 instructions, 5.00 allocations per request`.
fn parse_count(output: &str) -> Result<f64> {
    let figure = output.split_once(": ").and_then(|(_, rest)| rest.split_once(" instructions"));
    let count = figure.and_then(|(count, _)| count.parse().ok());
    count.ok_or_else(|| format!("instructions.py printed no count: `{}`", output.trim()).into())
}

/// A port that nobody listens on.
fn free_port() -> Result<String> {
    let probe = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    Ok(probe.map_err(|error| format!("cannot listen on loopback: {error}"))?.port().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_may_differ_by_three_percent_either_way() {
        assert_eq!(judge(0.92, 0.90), Verdict::Same);
        assert_eq!(judge(0.88, 0.90), Verdict::Same);
        assert_eq!(judge(0.93, 0.90), Verdict::Risen);
        assert_eq!(judge(0.87, 0.90), Verdict::Fallen);
    }

    #[test]
    fn a_count_is_read_from_the_scripts_line() {
        assert_eq!(parse_count("bench-h1 hello: 6739 instructions, 5.00 allocations per request\n").unwrap(), 6739.0);
        for output in ["", "bench-h1 hello: many instructions, 5.00 allocations", "6739 instructions"] {
            assert!(parse_count(output).unwrap_err().to_string().starts_with("instructions.py printed"), "{output}");
        }
    }

    #[test]
    fn a_baseline_is_a_ratio_for_each_workload() {
        let baselines = parse_baseline("# A comment.\nbrowser = 0.85\nhello = 1.02\n").unwrap();
        assert_eq!(baselines, [("browser".to_owned(), 0.85), ("hello".to_owned(), 1.02)]);
        for (text, start) in [
            ("hello = \"fast\"", "benches/baseline.toml: `hello` is not a ratio"),
            ("hello = 0.0", "benches/baseline.toml: `hello` is not a ratio"),
            ("hello", "benches/baseline.toml: "),
        ] {
            assert!(parse_baseline(text).unwrap_err().to_string().starts_with(start), "{text}");
        }
    }
}
