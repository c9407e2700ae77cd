//! How a stack tells its shape.

mod facts;

pub use facts::{FactName, UnmetFact};

use std::{any::type_name, borrow::Cow, fmt};

use crate::{Fact, Service};

/// The shape of `service` as a stack for `Input`.
///
/// ```
/// use chaski_core::{describe, service_fn};
/// use std::convert::Infallible;
///
/// let echo = service_fn(async |n: u8| Ok::<_, Infallible>(n));
/// assert!(describe::<u8, _>(&echo).to_string().starts_with("service_fn"));
/// ```
pub fn describe<Input, S: Service<Input> + ?Sized>(service: &S) -> Description {
    service.describe()
}

/// A node of the tree that a stack describes itself as: a name, settings, facts read and written, and children.
///
/// `Display` prints the tree. Facts that a service reads and that nobody above it writes are marked there, and listed by
/// [`unmet`](Self::unmet): listeners trace them at start in debug builds.
///
/// ```
/// use chaski_core::Description;
///
/// #[derive(Debug)]
/// struct Tenant;
///
/// let quota = Description::named("Quota").reads::<Tenant>().child(Description::named("Handler"));
/// let alone = quota.clone();
/// assert_eq!(alone.to_string(), "Quota  reads Tenant (written by nobody above)\n└─ Handler\n");
/// assert_eq!(alone.unmet()[0].to_string(), "Quota reads Tenant, which nobody above it writes");
///
/// let whole = Description::named("FindTenant").writes::<Tenant>().child(quota);
/// assert!(whole.unmet().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    name: Cow<'static, str>,
    label: Option<&'static str>,
    settings: Vec<(&'static str, String)>,
    reads: Vec<FactName>,
    may_read: Vec<FactName>,
    writes: Vec<FactName>,
    children: Vec<Description>,
    /// Whether what one child writes reaches those after it.
    in_sequence: bool,
}

impl Description {
    /// A node named after the type `T`, without its path and its parameters.
    #[must_use]
    pub fn of<T: ?Sized>() -> Self {
        let full = type_name::<T>();
        let base = full.split_once('<').map_or(full, |(base, _)| base);
        Self::named(short_name(base))
    }

    /// A node with a name of its own.
    #[must_use]
    pub fn named(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            label: None,
            settings: Vec::new(),
            reads: Vec::new(),
            may_read: Vec::new(),
            writes: Vec::new(),
            children: Vec::new(),
            in_sequence: false,
        }
    }

    /// A node for a closure: what made it, and where it was written.
    pub(crate) fn function<F>(maker: &'static str) -> Self {
        // The parameters of a generic function are types of whole stacks, whose shape is told elsewhere in the tree.
        let place = type_name::<F>().split('<').next().unwrap_or_default().trim_end_matches("::{{closure}}");
        Self::named(format!("{maker}({})", short_name(place)))
    }

    /// Adds a part, below those added before.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// Adds a setting that a reader of the tree wants to see, such as a limit. Never a secret.
    #[must_use]
    pub fn setting(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.settings.push((name, value.to_string()));
        self
    }

    /// Says what part this node plays for its parent.
    #[must_use]
    pub fn labelled(mut self, label: &'static str) -> Self {
        self.label = Some(label);
        self
    }

    /// Says that the children run one after the other, on the same connection or message: what one writes is there for
    /// those behind it.
    #[must_use]
    pub fn in_sequence(mut self) -> Self {
        self.in_sequence = true;
        self
    }

    /// Says that this service goes by the fact `T`, and that it is a mistake when nobody above writes it.
    #[must_use]
    pub fn reads<T: Fact>(mut self) -> Self {
        self.reads.push(FactName::of::<T>());
        self
    }

    /// Says that this service uses the fact `T` where it is there, and does without where it is not.
    #[must_use]
    pub fn may_read<T: Fact>(mut self) -> Self {
        self.may_read.push(FactName::of::<T>());
        self
    }

    /// Says that this service adds the fact `T`.
    #[must_use]
    pub fn writes<T: Fact>(mut self) -> Self {
        self.writes.push(FactName::of::<T>());
        self
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parts, outermost first.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// The facts that this node itself looks up, those that it can do without last.
    pub fn facts_read(&self) -> impl Iterator<Item = FactName> {
        self.reads.iter().chain(&self.may_read).copied()
    }

    /// The facts that this node itself adds.
    #[must_use]
    pub fn facts_written(&self) -> &[FactName] {
        &self.writes
    }

    /// One node on one line; `unmet` says which of the facts that it reads are written by nobody above.
    fn line(&self, f: &mut fmt::Formatter<'_>, unmet: impl Fn(&FactName) -> bool) -> fmt::Result {
        if let Some(label) = self.label {
            write!(f, "{label}: ")?;
        }
        f.write_str(&self.name)?;
        for (name, value) in &self.settings {
            write!(f, " {name}={value}")?;
        }
        for (verb, facts) in [("reads", &self.reads), ("may read", &self.may_read), ("writes", &self.writes)] {
            for (n, fact) in facts.iter().enumerate() {
                let lead = if n == 0 { format!("  {verb} ") } else { ", ".to_owned() };
                let mark = if verb == "reads" && unmet(fact) { " (written by nobody above)" } else { "" };
                write!(f, "{lead}{fact}{mark}")?;
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.walk(&mut |node, at| {
            // The first error of the formatter ends the output.
            if result.is_ok() {
                result = f.write_str(&at.stem()).and_then(|()| node.line(f, |fact| !at.is_written(*fact)));
            }
        });
        result
    }
}

/// `a::b::Name<c::D>` as `Name<D>`.
fn short_name(full: &str) -> String {
    let mut short = String::with_capacity(full.len());
    let mut word = String::new();
    for c in full.chars() {
        match c {
            ':' => word.clear(),
            c if c.is_alphanumeric() || matches!(c, '_' | '{' | '}') => word.push(c),
            c => {
                short.push_str(&word);
                word.clear();
                short.push(c);
            }
        }
    }
    short + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Peer;

    #[test]
    fn short_names_drop_paths_and_keep_parameters() {
        for (full, short) in [
            ("alloc::string::String", "String"),
            ("a::Stack<b::c::Timeout, core::option::Option<u8>>", "Stack<Timeout, Option<u8>>"),
            ("plain", "plain"),
        ] {
            assert_eq!(short_name(full), short);
        }
    }

    #[test]
    fn a_tree_prints_settings_facts_and_branches() {
        let tree = Description::named("listen").setting("bind", "127.0.0.1:0").writes::<Peer>().child(
            Description::named("branch")
                .child(Description::named("tunnel").labelled("yes").child(Description::named("relay")))
                .child(Description::named("forward").labelled("no").reads::<Peer>()),
        );
        let printed = "listen bind=127.0.0.1:0  writes Peer\n\
                       └─ branch\n\
                       \x20  ├─ yes: tunnel\n\
                       \x20  │  └─ relay\n\
                       \x20  └─ no: forward  reads Peer\n";
        assert_eq!(tree.to_string(), printed);
    }
}
