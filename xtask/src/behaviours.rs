//! `cargo xtask behaviours [--missing FILE]`: which test shows which behaviour.
//!
//! An id is a row of the behaviours page: one of the prefixes below, a hyphen and two digits. It counts where it stands
//! in the comment attached to a test function or, in lower case with underscores, in that function's name. An id in any
//! other comment promises a test that is not there, and fails.

mod id;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::{Result, finding, workspace};

use id::Id;
use scan::Test;

pub(crate) fn run(arguments: &[String]) -> Result {
    let page = match arguments {
        [] => None,
        [flag, file] if flag == "--missing" => {
            Some(fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?)
        }
        other => return Err(format!("takes `--missing FILE` or nothing, but got {other:?}").into()),
    };
    let mut findings = Vec::new();
    let mut tests = BTreeMap::<Id, Vec<Test>>::new();
    for (path, text) in workspace::rust_sources(&workspace::files()?)? {
        let scan = scan::scan(&path, &text);
        findings.extend(scan.findings);
        for test in scan.tests {
            for id in &test.ids {
                tests.entry(*id).or_default().push(test.clone());
            }
        }
    }
    for (id, tests) in &tests {
        for test in tests {
            println!("{id} -> {test}");
        }
    }
    println!("behaviours: {} ids have tests", tests.len());
    if let Some(page) = page {
        report_missing(&id::wanted(&page), &tests);
    }
    finding::report(findings)
}

fn report_missing(wanted: &BTreeSet<Id>, tests: &BTreeMap<Id, Vec<Test>>) {
    let missing: Vec<&Id> = wanted.iter().filter(|id| !tests.contains_key(id)).collect();
    println!("behaviours: {} of {} ids have no test", missing.len(), wanted.len());
    for id in missing {
        println!("{id}");
    }
}
