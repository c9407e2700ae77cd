//! How many descriptors there are, and how many the connections may need.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{args::ListenArgs, run};

/// Those that are no connections: listeners, logs, and what the runtime keeps for each thread.
const OTHERS: u64 = 64;

/// Raises the soft limit of open files to the hard one. A proxied connection takes two; the usual soft limit of 1,024 is there
/// for programs that use select(2), and is met long before that of connections.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        // Where it cannot be raised, fewer connections are accepted at a time.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Warns when the limit of connections cannot be reached, because each takes `of_each` descriptors. The pipes that a busy tunnel
/// takes besides are not counted: without them it goes on more slowly. Told behind the addresses, for which scripts wait.
pub(crate) fn check(of_each: u64, listeners: usize, args: &ListenArgs) {
    let connections = args.max_connections.saturating_mul(u64::try_from(listeners).unwrap_or(u64::MAX));
    let needed = connections.saturating_mul(of_each).saturating_add(OTHERS);
    let Some(allowed) = getrlimit(Resource::Nofile).current else { return };
    if needed > allowed {
        run::tell(format_args!(
            "chaski: warning: {connections} connections may need {needed} descriptors, and this process may open {allowed}: \
             raise the limit (ulimit -n, LimitNOFILE=) or lower --max-connections"
        ));
    }
}
