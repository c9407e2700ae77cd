//! Target: what an operator writes for the proxy: rules, and a file of users.
//!
//! One choice: a users file, bytes that rules are [`made`] of, or else rules. Then that, files and rules as lines of text.

mod made;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::OnceLock,
};

use chaski_core::{AddressPolicy, Candidate, Domain, IpClass};
use chaski_proxy::{Rule, Rules, UsersFile};

use crate::input::Choices;

/// Addresses of all classes, and the forms in which they hide.
const ADDRESSES: [&str; 14] = [
    "1.1.1.1",
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "169.254.169.254",
    "192.0.2.7",
    "224.0.0.1",
    "2606:4700::1111",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "::ffff:10.1.2.3",
    "64:ff9b::7f00:1",
];

/// What parses prints as a text that means the same; the first rule that matches decides, which a list with the rules
/// before it left out must agree with; and what no rule names is reached when it is public, and not otherwise.
pub(crate) fn run(data: &[u8]) {
    let Some((choices, input)) = Choices::split(data) else { return };
    match choices.pick(0, 4) {
        1 => return users(input),
        2 => return made::run(input),
        _ => {}
    }
    let Ok(text) = str::from_utf8(input) else { return };
    let mut list = Vec::new();
    for line in text.lines() {
        match line.parse::<Rule>() {
            Ok(rule) => {
                let again: Rule =
                    rule.to_string().parse().unwrap_or_else(|error| panic!("{line:?} as {rule}: {error}"));
                assert_eq!(again, rule, "{line:?}");
                list.push(rule);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        if list.len() == 8 {
            break;
        }
    }
    for name in [None, Some("db.example.com"), Some("example.com."), Some("x")] {
        let name: Option<Domain> = name.map(|name| name.parse().expect("a name"));
        for address in ADDRESSES {
            for port in [80, 443] {
                let address = SocketAddr::new(address.parse::<IpAddr>().expect("an address"), port);
                check(&list, &Candidate::new(name.as_ref(), address));
            }
        }
    }
}

/// Compares a list with what its rules say one by one.
fn check(list: &[Rule], candidate: &Candidate<'_>) {
    let expected = match list.iter().find(|rule| matches(rule, candidate)) {
        Some(Rule::Allow(_)) => true,
        Some(Rule::Deny(_)) => false,
        None => is_public(candidate),
    };
    let rules: Rules = list.iter().cloned().collect();
    assert_eq!(rules.check(candidate).is_ok(), expected, "{list:?} for {candidate:?}");
    // A name is refused before it is resolved only where every address would be refused.
    if let Some(name) = candidate.domain()
        && rules.check_name(name, candidate.addr().port()).is_err()
    {
        assert!(!expected, "{list:?} refuse {name} too early");
    }
    let own = rules.with_own_addresses([candidate.addr()]);
    assert!(own.check(candidate).is_err(), "a proxy that dials itself");
}

/// Whether a rule is about a candidate. Alone and as a denial, it tells so of what is public; as a permission, of what is not.
fn matches(rule: &Rule, candidate: &Candidate<'_>) -> bool {
    let is_public = is_public(candidate);
    let rule = if is_public { Rule::Deny } else { Rule::Allow }(rule.pattern().clone());
    Rules::public_only().with_rule(rule).check(candidate).is_ok() != is_public
}

fn is_public(candidate: &Candidate<'_>) -> bool {
    IpClass::of(candidate.addr().ip()).is_public()
}

/// A file that is read has a user for each of its lines with one; a file that is refused is told with its line, and without
/// what stands there.
fn users(input: &[u8]) {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| std::env::temp_dir().join(format!("chaski-fuzz-users-{}", std::process::id())));
    std::fs::write(path, input).expect("the directory for temporary files can be written");
    let loaded = UsersFile::load(path);
    std::fs::remove_file(path).expect("it was just written");
    let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let entries =
        text.split(|&byte| byte == b'\n').filter(|line| !matches!(line.trim_ascii(), [] | [b'#', ..])).count();
    match loaded {
        Ok(file) => assert_eq!(file.len(), entries),
        Err(error) => {
            assert!(entries > 0 || input.len() > UsersFile::MAX_LINE || str::from_utf8(input).is_err(), "{error}");
            let line = error.line().expect("a fault stands in a line");
            assert!(line >= 1 && line <= input.split(|&byte| byte == b'\n').count());
        }
    }
}
