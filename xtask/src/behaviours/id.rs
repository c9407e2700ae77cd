//! The names of behaviours, and finding them in text.

use std::collections::BTreeSet;
use std::fmt;

/// The pages' chapters, in their order.
const CHAPTERS: [&str; 8] = ["NET", "DNS", "H1", "H2", "TLS", "PRX", "APP", "LIFE"];

/// One behaviour: its chapter and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    /// An index into [`CHAPTERS`], so that ids sort as the pages do.
    chapter: usize,
    number: u8,
}

impl Id {
    fn new(chapter: &str, number: &str) -> Option<Self> {
        let chapter = CHAPTERS.iter().position(|known| *known == chapter)?;
        let is_number = number.len() == 2 && number.bytes().all(|digit| digit.is_ascii_digit());
        let number = is_number.then(|| number.parse().ok())??;
        Some(Self { chapter, number })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", CHAPTERS[self.chapter], self.number)
    }
}

/// An id as it stands in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) id: Id,
    /// The number that an id followed by two dots goes up to.
    up_to: Option<u8>,
}

impl Mention {
    /// Whether it is the start of a range.
    pub(crate) fn is_range(&self) -> bool {
        self.up_to.is_some()
    }
}

/// All ids that a text mentions.
pub(crate) fn mentions(text: &str) -> Vec<Mention> {
    text.match_indices('-').filter_map(|(hyphen, _)| mention(&text[..hyphen], &text[hyphen + 1..])).collect()
}

/// The id around a hyphen: the word before it and the two digits after it, neither part of something longer.
fn mention(before: &str, after: &str) -> Option<Mention> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let chapter = &before[before.trim_end_matches(word).len()..];
    let digits = after.len() - after.trim_start_matches(word).len();
    let id = Id::new(chapter, &after[..digits])?;
    let up_to =
        after[digits..].strip_prefix("..").and_then(|rest| rest.get(..2)).and_then(|number| number.parse().ok());
    Some(Mention { id, up_to })
}

/// The ids in a function's name: `h1_07_idle` names one.
pub(crate) fn in_name(name: &str) -> Vec<Id> {
    let words: Vec<&str> = name.split('_').collect();
    words.windows(2).filter_map(|pair| Id::new(&pair[0].to_ascii_uppercase(), pair[1])).collect()
}

/// The ids that a page asks for; unlike in tests, a range stands for all that it spans.
pub(crate) fn wanted(page: &str) -> BTreeSet<Id> {
    mentions(page)
        .into_iter()
        .flat_map(|Mention { id, up_to }| {
            (id.number..=up_to.unwrap_or(id.number)).map(move |number| Id { number, ..id })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(ids: impl IntoIterator<Item = &'a Id>) -> Vec<String> {
        ids.into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ids_are_found_whole() {
        let text = "H1-05: x (NET-01, LIFE-12). **DNS-03**, H1-7, H1-123, XH1-05, X-H1-05, H1-05-b, RFC-12, é-H1-01";
        let ids: Vec<Id> = mentions(text).iter().map(|mention| mention.id).collect();
        assert_eq!(shown(&ids), ["H1-05", "NET-01", "LIFE-12", "DNS-03"]);
    }

    #[test]
    fn a_range_is_known_as_one() {
        assert!(mentions("H1-05..07")[0].is_range());
        assert!(!mentions("H1-05.")[0].is_range());
        assert_eq!(
            shown(&wanted("Rows H2-09, H1-05..07 and NET-04..05.")),
            ["NET-04", "NET-05", "H1-05", "H1-06", "H1-07", "H2-09"]
        );
    }

    #[test]
    fn names_carry_ids_in_lower_case() {
        assert_eq!(shown(&in_name("h1_07_idle_and_net_11")), ["H1-07", "NET-11"]);
        assert_eq!(shown(&in_name("h1_7_or_h1_077")), [""; 0]);
    }
}
