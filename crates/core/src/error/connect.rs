use std::{error::Error, fmt, net::SocketAddr};

use crate::{BoxError, Extensions, display_chain};

/// Why a [`Connect`](crate::Connect) did not become a connection: the stage, every address tried, and whether another
/// route may be tried.
#[derive(Debug)]
pub struct ConnectError {
    // Boxed so that `Result<_, ConnectError>` stays small on the way up through connectors.
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    stage: ConnectStage,
    message: Option<String>,
    attempts: Vec<Attempt>,
    source: Option<BoxError>,
    another_route: bool,
    scope: Extensions,
}

/// The step of connecting that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectStage {
    /// The `Connect` itself cannot be honoured: no connector reads one of its route's choices, or the target is of a
    /// kind that this connector does not dial.
    Config,
    /// The name could not be resolved.
    Resolve,
    /// The address policy refused every address.
    Policy,
    /// No address could be connected.
    Dial,
    /// A proxy on the way refused or failed.
    Proxy,
    /// The TLS handshake failed.
    Tls,
    /// The application protocol's handshake failed.
    Protocol,
    /// As many connections are open as may be, and as many calls wait for one. Nothing was dialed.
    Limit,
    /// A time limit passed.
    Timeout,
}

impl fmt::Display for ConnectStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Config => "cannot connect as asked",
            Self::Resolve => "cannot resolve the name",
            Self::Policy => "refused by the address policy",
            Self::Dial => "cannot connect",
            Self::Proxy => "the proxy on the way failed",
            Self::Tls => "the TLS handshake failed",
            Self::Protocol => "the protocol handshake failed",
            Self::Limit => "at the limit of connections",
            Self::Timeout => "timed out while connecting",
        })
    }
}

/// One address that was tried, or refused before it was tried.
#[derive(Debug)]
pub struct Attempt {
    /// The address.
    pub addr: SocketAddr,
    /// What went wrong with it.
    pub error: BoxError,
}

impl ConnectError {
    /// An error at `stage`. Another route may be tried, unless the policy or the configuration refused.
    #[must_use]
    pub fn new(stage: ConnectStage) -> Self {
        Self {
            inner: Box::new(Inner {
                stage,
                message: None,
                attempts: Vec::new(),
                source: None,
                another_route: !matches!(stage, ConnectStage::Policy | ConnectStage::Config),
                scope: Extensions::new(),
            }),
        }
    }

    /// Adds a sentence on what was being connected, such as the target.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = Some(message.into());
        self
    }

    /// Adds the error beneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// Adds the addresses that were tried, in order.
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.inner.attempts = attempts;
        self
    }

    /// Says whether another route to the target may be tried.
    #[must_use]
    pub fn with_another_route(mut self, yes: bool) -> Self {
        self.inner.another_route = yes;
        self
    }

    /// Adds the scope of the attempt, which holds what the connectors learned on the way.
    #[must_use]
    pub fn with_scope(mut self, scope: Extensions) -> Self {
        self.inner.scope = scope;
        self
    }

    /// The step that failed.
    #[must_use]
    pub fn stage(&self) -> ConnectStage {
        self.inner.stage
    }

    /// Every address tried or refused, in order; of all families, not just the last one.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.inner.attempts
    }

    /// Whether another route to the target may be tried.
    #[must_use]
    pub fn another_route(&self) -> bool {
        self.inner.another_route
    }

    /// Whether a time limit passed, at this stage or below it.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.inner.stage == ConnectStage::Timeout
    }

    /// The scope of the attempt.
    #[must_use]
    pub fn scope(&self) -> &Extensions {
        &self.inner.scope
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner.stage)?;
        if let Some(message) = &self.inner.message {
            write!(f, ": {message}")?;
        }
        for (n, attempt) in self.inner.attempts.iter().enumerate() {
            let lead = if n == 0 { " (" } else { "; " };
            write!(f, "{lead}{}: {}", attempt.addr, display_chain(&*attempt.error))?;
        }
        if !self.inner.attempts.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let attempts = || self.inner.attempts.last().map(|attempt| &*attempt.error as &(dyn Error + 'static));
        self.inner.source.as_deref().map(|source| source as &(dyn Error + 'static)).or_else(attempts)
    }
}
