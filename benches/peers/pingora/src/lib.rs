//! What the programs on pingora share.

use pingora_core::server::configuration::ServerConf;

/// So many threads for a service, and an end as soon as it is asked for.
pub fn config(threads: usize) -> ServerConf {
    ServerConf {
        threads,
        upstream_keepalive_pool_size: 1024,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    }
}
