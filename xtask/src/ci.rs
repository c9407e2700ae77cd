//! `cargo xtask ci`: what guards main, in one command on a fresh machine.

use std::time::{Duration, Instant};

use crate::test::Mode;
use crate::{
    Result, behaviours, bench, book, doc, features, fmt, lint, loom, no_arguments, package, peers, soak, test, tidy,
};

/// A heading, and what stands under it.
type Step = (&'static str, fn() -> Result);

const STEPS: [Step; 13] = [
    ("peers: programs that tests talk to", install),
    ("fmt: formatting", || fmt::run(&[])),
    ("lint: clippy", || lint::run(&[])),
    ("test: tests and doctests", || test::run_in(Mode::Ci, &[])),
    ("loom: models of the lock-free code", || loom::run(&[])),
    ("tidy: rules that no compiler checks", || tidy::run(&[])),
    ("features: each one alone", || features::run(&[])),
    ("doc: API documentation", || doc::run(&[])),
    ("behaviours: id -> tests", || behaviours::run(&[])),
    ("book: the guide", || book::run(&[])),
    ("bench: instructions per request", bench::gate),
    ("soak: mixed traffic and faults", soak::short),
    ("package: what a registry would take", || package::run(&[])),
];

pub(crate) fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    let start = Instant::now();
    for (number, (heading, step)) in (1..).zip(STEPS) {
        println!("\n== {number}/{} {heading}", STEPS.len());
        let begun = Instant::now();
        let outcome = step();
        let took = seconds(begun.elapsed());
        if let Err(error) = outcome {
            return Err(format!("step {number} of {} ({heading}) failed after {took}: {error}", STEPS.len()).into());
        }
        println!("== passed in {took}");
    }
    println!("\n== all {} steps passed in {}", STEPS.len(), seconds(start.elapsed()));
    Ok(())
}

fn install() -> Result {
    peers::install()?;
    peers::install_wheels()
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
