use std::{error::Error, fmt, io};

use chaski_core::{BoxError, ConnectError, ConnectStage, Elapsed, Extensions, Sent, Target, find_cause};

use crate::pool::QueueFull;

/// Why a [`Client`](crate::Client) gave no response.
///
/// `Display` prints this level on one line; the sources say more, and [`find_cause`] finds a [`ConnectError`] or an
/// [`Elapsed`] among them.
#[derive(Debug)]
pub struct ClientError {
    // Boxed so that results stay small on the way up.
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ClientErrorKind,
    message: String,
    not_sent: bool,
    source: Option<BoxError>,
    scope: Extensions,
}

/// The step at which a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The request cannot be sent by this client: its URI is not absolute, has userinfo or a scheme that the client does
    /// not speak, or its method is CONNECT. Nothing was dialed.
    InvalidRequest,
    /// There was no connection. The source is a [`ConnectError`].
    Connect,
    /// No connection was free, none could be dialed because of the limits on open connections, and as many calls as
    /// [`with_max_waiting`](crate::ClientConfig::with_max_waiting) allows waited already. Nothing was sent. The
    /// source is a [`ConnectError`] of the stage [`Limit`](chaski_core::ConnectStage::Limit).
    Limit,
    /// The connection failed before a response.
    Send,
    /// The limit set with [`with_timeout`](crate::ClientConfig::with_timeout) passed. The source is an [`Elapsed`].
    Timeout,
}

impl ClientError {
    fn new(kind: ClientErrorKind, message: impl Into<String>) -> Self {
        let scope = Extensions::new();
        Self { inner: Box::new(Inner { kind, message: message.into(), not_sent: false, source: None, scope }) }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ClientErrorKind::InvalidRequest, message).not_sent(true)
    }

    pub(crate) fn connect(target: &Target, error: ConnectError) -> Self {
        let scope = error.scope().clone();
        Self::new(ClientErrorKind::Connect, format!("there is no connection to {target}"))
            .not_sent(true)
            .with_scope(scope)
            .with_source(error)
    }

    pub(crate) fn queue_full(target: &Target, full: QueueFull) -> Self {
        let error = ConnectError::new(ConnectStage::Limit).with_source(full);
        Self::new(ClientErrorKind::Limit, format!("no connection to {target} is free"))
            .not_sent(true)
            .with_source(error)
    }

    pub(crate) fn send<Req>(target: &Target, sent: &Sent<Req>, source: BoxError, scope: Extensions) -> Self {
        let not_sent = matches!(sent, Sent::No(_));
        let message = if not_sent {
            format!("the request to {target} was not sent")
        } else {
            format!("the request to {target} failed after it may have been sent")
        };
        Self::new(ClientErrorKind::Send, message).not_sent(not_sent).with_scope(scope).with_source(source)
    }

    pub(crate) fn timeout(target: &Target, elapsed: Elapsed) -> Self {
        Self::new(ClientErrorKind::Timeout, format!("no response from {target} in time")).with_source(elapsed)
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    fn with_scope(mut self, scope: Extensions) -> Self {
        self.inner.scope = scope;
        self
    }

    fn not_sent(mut self, yes: bool) -> Self {
        self.inner.not_sent = yes;
        self
    }

    /// The step that failed.
    #[must_use]
    pub fn kind(&self) -> ClientErrorKind {
        self.inner.kind
    }

    /// Whether a time limit passed: the client's, the connector's, the engine's or the socket's.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.inner.kind == ClientErrorKind::Timeout
            || find_cause::<Elapsed>(self).is_some()
            || find_cause::<ConnectError>(self).is_some_and(ConnectError::is_timeout)
            || find_cause::<io::Error>(self).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    /// Whether there was no connection.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        self.inner.kind == ClientErrorKind::Connect
    }

    /// Whether no peer can have acted on the request. When a time limit of the whole call passed, nobody knows: `false`.
    #[must_use]
    pub fn is_not_sent(&self) -> bool {
        self.inner.not_sent
    }

    /// The scope of the last attempt: what the connectors learned, or what is known of the connection.
    #[must_use]
    pub fn scope(&self) -> &Extensions {
        &self.inner.scope
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
