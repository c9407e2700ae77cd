//! Things found by the name of a server.

use std::collections::HashMap;

use chaski_core::{AddressParseError, Domain};

/// Why a name has no place in a table of names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It is no DNS name, nor one with `*` for its first label.
    #[error("`{0}` is neither a name nor `*.` and a name")]
    Invalid(Box<str>, #[source] AddressParseError),
    /// It is there already.
    #[error("`{0}` is there twice")]
    Twice(Box<str>),
}

/// Values by names. A name with `*` for its first label stands for all names with exactly one label in its place, as in
/// certificates (RFC 9525 section 6.3); an exact name goes before it.
#[derive(Clone, Debug)]
pub(crate) struct NameTable<T> {
    entries: Vec<(Box<str>, T)>,
    exact: HashMap<Box<str>, usize>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, usize>,
}

impl<T> NameTable<T> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), exact: HashMap::new(), wildcard: HashMap::new() }
    }

    pub(crate) fn insert(&mut self, name: &str, value: T) -> Result<(), NameError> {
        let (map, parent) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name),
        };
        let parsed: Domain = parent.parse().map_err(|error| NameError::Invalid(name.into(), error))?;
        if map.contains_key(parsed.as_str()) {
            return Err(NameError::Twice(name.into()));
        }
        map.insert(parsed.as_str().into(), self.entries.len());
        self.entries.push((name.into(), value));
        Ok(())
    }

    pub(crate) fn get(&self, name: &Domain) -> Option<&T> {
        self.find(name.as_str())
    }

    /// By a name in lower case, without a dot at its end.
    pub(crate) fn find(&self, name: &str) -> Option<&T> {
        let of_parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        let &index = self.exact.get(name).or_else(of_parent)?;
        self.entries.get(index).map(|(_, value)| value)
    }

    /// All entries, in the order in which they were inserted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|(name, value)| (&**name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_goes_before_a_wildcard_of_one_label() {
        let mut table = NameTable::new();
        for name in ["*.Example.com", "www.example.COM", "example.com.", "*.a.example.com"] {
            table.insert(name, name).unwrap();
        }
        for (name, expected) in [
            ("www.example.com", Some("www.example.COM")),
            ("WWW.example.com.", Some("www.example.COM")),
            ("other.example.com", Some("*.Example.com")),
            ("example.com", Some("example.com.")),
            ("b.a.example.com", Some("*.a.example.com")),
            ("c.b.a.example.com", None),
            ("a.b.example.com", None),
            ("badexample.com", None),
            ("com", None),
        ] {
            assert_eq!(table.get(&name.parse().unwrap()).copied(), expected, "{name}");
        }
    }

    #[test]
    fn a_name_that_is_none_or_is_there_already_is_refused() {
        let mut table = NameTable::new();
        for name in ["", "*", "*.", "a.*", "*.*.test", "f*.test", "127.0.0.1", "a b"] {
            let error = table.insert(name, ()).unwrap_err();
            assert!(matches!(&error, NameError::Invalid(named, _) if **named == *name), "{name}: {error}");
        }
        for (name, again) in [("a.test", "A.test."), ("*.a.test", "*.A.TEST")] {
            table.insert(name, ()).unwrap();
            assert!(matches!(table.insert(again, ()), Err(NameError::Twice(named)) if *named == *again));
        }
    }
}
