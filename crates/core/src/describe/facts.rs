//! Which facts a stack reads and writes, and which nobody writes.

use std::{
    any::{TypeId, type_name},
    fmt,
};

use super::{Description, short_name};
use crate::Fact;

/// The identity and the short name of a fact's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FactName {
    id: TypeId,
    name: &'static str,
}

impl FactName {
    /// That of `T`.
    #[must_use]
    pub fn of<T: Fact>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}

impl fmt::Display for FactName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&short_name(self.name))
    }
}

/// A fact that a service goes by and that nobody above it writes; see [`Description::unmet`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnmetFact {
    /// The name of the service.
    pub reader: String,
    /// What it reads.
    pub fact: FactName,
}

impl fmt::Display for UnmetFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} reads {}, which nobody above it writes", self.reader, self.fact)
    }
}

impl Description {
    /// The facts that services in this tree go by (those said with [`reads`](Self::reads)) and that nobody above them
    /// writes: most often a layer that is missing, or stands on the wrong side of its reader. Top down.
    #[must_use]
    pub fn unmet(&self) -> Vec<UnmetFact> {
        let mut found = Vec::new();
        self.walk(&mut |node, at| {
            let unmet = node.reads.iter().filter(|fact| !at.is_written(**fact));
            found.extend(unmet.map(|fact| UnmetFact { reader: node.name().to_owned(), fact: *fact }));
        });
        found
    }

    /// In debug builds: traces a warning for each [`unmet`](Self::unmet) fact. Listeners call it when they begin to
    /// serve; in release builds it does nothing.
    pub fn warn_of_unmet(&self) {
        if cfg!(debug_assertions) {
            for UnmetFact { reader, fact } in self.unmet() {
                tracing::warn!(%reader, %fact, "a service reads a fact that nobody above it writes");
            }
        }
    }

    /// Shows each node to `visit`, top down, with its place in the tree.
    pub(super) fn walk(&self, visit: &mut dyn FnMut(&Self, &Place)) {
        self.walk_from(&mut Place { rails: Vec::new(), written: Vec::new() }, visit);
    }

    fn walk_from(&self, place: &mut Place, visit: &mut dyn FnMut(&Self, &Place)) {
        visit(self, place);
        let above = place.written.len();
        place.written.extend(&self.writes);
        for (n, child) in self.children.iter().enumerate() {
            let before = place.written.len();
            place.rails.push(n + 1 == self.children.len());
            child.walk_from(place, visit);
            place.rails.pop();
            place.written.truncate(before);
            if self.in_sequence {
                child.walk(&mut |node, _| place.written.extend(&node.writes));
            }
        }
        place.written.truncate(above);
    }
}

/// Where a node stands.
pub(super) struct Place {
    /// From the root down, whether a node on the way is the last of its siblings.
    rails: Vec<bool>,
    /// The facts that are written above.
    written: Vec<FactName>,
}

impl Place {
    pub(super) fn is_written(&self, fact: FactName) -> bool {
        self.written.contains(&fact)
    }

    /// The branches of the tree, drawn up to this node.
    pub(super) fn stem(&self) -> String {
        let Some((last, above)) = self.rails.split_last() else { return String::new() };
        let rail = |last: &bool| if *last { "   " } else { "│  " };
        let own = if *last { "└─ " } else { "├─ " };
        above.iter().map(rail).chain([own]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct User;
    #[derive(Debug)]
    struct Peer;

    fn node(name: &'static str) -> Description {
        Description::named(name)
    }

    fn check(tree: &Description, unmet: &[&str]) {
        let found: Vec<String> = tree.unmet().iter().map(ToString::to_string).collect();
        assert_eq!(found, unmet, "{tree}");
    }

    #[test]
    fn a_fact_is_written_above_or_it_is_missing() {
        let auth = || node("Auth").writes::<User>();
        let quota = || node("Quota").reads::<User>();
        check(&auth().child(quota()), &[]);
        check(&auth().child(node("between").child(quota())), &[]);
        // Below its reader, or by the reader itself, it comes too late.
        check(&quota().child(auth()), &["Quota reads User, which nobody above it writes"]);
        check(&quota().writes::<User>(), &["Quota reads User, which nobody above it writes"]);
        // By another fact it is not replaced.
        check(&node("Listen").writes::<Peer>().child(quota()), &["Quota reads User, which nobody above it writes"]);
    }

    #[test]
    fn siblings_share_facts_only_in_sequence() {
        let pair = || {
            node("pair").child(node("outer").child(node("first").writes::<User>())).child(node("next").reads::<User>())
        };
        check(&pair(), &["next reads User, which nobody above it writes"]);
        check(&pair().in_sequence(), &[]);
        // And not beyond the sequence.
        let tree = node("root").child(pair().in_sequence()).child(node("late").reads::<User>());
        check(&tree, &["late reads User, which nobody above it writes"]);
    }

    #[test]
    fn what_can_be_done_without_is_never_missing() {
        let tree = node("Log").may_read::<User>().reads::<Peer>();
        check(&tree, &["Log reads Peer, which nobody above it writes"]);
        assert_eq!(tree.to_string(), "Log  reads Peer (written by nobody above)  may read User\n");
        let names: Vec<String> = tree.facts_read().map(|fact| fact.to_string()).collect();
        assert_eq!(names, ["Peer", "User"]);
    }
}
