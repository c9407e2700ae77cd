use std::sync::OnceLock;

use chaski_core::{EffectiveSocketOptions, Extensions};

/// The options in force on connections that were all asked for the same: a scope that theirs are children of, so that it is
/// in memory once.
#[derive(Clone, Debug, Default)]
pub(crate) struct InForce {
    shared: OnceLock<Extensions>,
}

impl InForce {
    pub(crate) const fn new() -> Self {
        Self { shared: OnceLock::new() }
    }

    /// A scope for a connection with these options.
    pub(crate) fn scope(&self, effective: EffectiveSocketOptions) -> Extensions {
        let shared = self.shared.get_or_init(|| scope_of(effective.clone()));
        // The sizes of buffers are what the kernel made of them, and it might make something else the next time.
        if shared.get() == Some(&effective) { shared.fork() } else { scope_of(effective) }
    }
}

fn scope_of(effective: EffectiveSocketOptions) -> Extensions {
    let scope = Extensions::new();
    scope.insert(effective);
    scope
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_share_what_is_the_same_and_nothing_else() {
        let with_nodelay = |nodelay| {
            let mut effective = EffectiveSocketOptions::default();
            effective.nodelay = nodelay;
            effective
        };
        let in_force = InForce::new();
        let [first, second] = [(); 2].map(|()| in_force.scope(with_nodelay(true)));
        let other = in_force.scope(with_nodelay(false));

        let found = |scope: &Extensions| scope.get::<EffectiveSocketOptions>().map(std::ptr::from_ref);
        assert_eq!(found(&first), found(&second));
        assert_eq!(other.get(), Some(&with_nodelay(false)));
        first.insert("of the first alone");
        assert_eq!((first.get(), second.get::<&str>()), (Some(&"of the first alone"), None));
    }
}
