use std::time::Duration;

use crate::codec::{BodyConfig, HeadConfig, TargetForm};

/// How a client speaks HTTP/1.1 on its connections.
///
/// ```
/// use chaski_http_core::{Http1ClientConfig, codec::TargetForm};
/// use std::time::Duration;
///
/// let to_a_proxy = Http1ClientConfig::default()
///     .with_target_form(TargetForm::Absolute)
///     .with_head_timeout(Some(Duration::from_secs(30)));
/// # let _ = to_a_proxy;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http1ClientConfig {
    /// What is accepted as the head of a response.
    pub head: HeadConfig,
    /// What is accepted beside the data of a response's body.
    pub body: BodyConfig,
    /// The form of request targets: [`TargetForm::Origin`], the default, to a server; [`TargetForm::Absolute`] to a proxy
    /// for plain HTTP (RFC 9112 section 3.2.2). The two other forms go with single methods, for which they are chosen
    /// whatever this says; here they count as `Origin`.
    pub target_form: TargetForm,
    /// How long the body of a request with `Expect: 100-continue` is held back when neither `100` nor a final response
    /// comes. Then it is sent all the same (RFC 9110 section 10.1.1).
    ///
    /// Default: [`DEFAULT_EXPECT_TIMEOUT`](Self::DEFAULT_EXPECT_TIMEOUT).
    pub expect_timeout: Duration,
    /// How long a write of the request may make no progress because the peer does not read. Without it, a client that has
    /// gone and a server that does not read can hold a connection between them for ever.
    ///
    /// Default: [`DEFAULT_WRITE_TIMEOUT`](Self::DEFAULT_WRITE_TIMEOUT); `None` waits for ever.
    pub write_timeout: Option<Duration>,
    /// How long the final response's head may take, from the moment at which the request was written completely;
    /// informational responses do not extend it.
    ///
    /// Default: `None`, no limit: how long an answer may take depends on what was asked, so it is set where that is known.
    pub head_timeout: Option<Duration>,
    /// How long the peer may send nothing while a response's body is read. Time in which nobody reads does not count
    /// against a peer that has sent something meanwhile.
    ///
    /// Default: `None`, no limit, as for [`head_timeout`](Self::head_timeout).
    pub body_timeout: Option<Duration>,
    /// The most informational responses (1xx) before a final one. Each is also bound by [`head`](Self::head).
    ///
    /// Default: [`DEFAULT_MAX_INFORMATIONAL`](Self::DEFAULT_MAX_INFORMATIONAL).
    pub max_informational: usize,
}

impl Default for Http1ClientConfig {
    fn default() -> Self {
        Self {
            head: HeadConfig::default(),
            body: BodyConfig::default(),
            target_form: TargetForm::Origin,
            expect_timeout: Self::DEFAULT_EXPECT_TIMEOUT,
            write_timeout: Some(Self::DEFAULT_WRITE_TIMEOUT),
            head_timeout: None,
            body_timeout: None,
            max_informational: Self::DEFAULT_MAX_INFORMATIONAL,
        }
    }
}

impl Http1ClientConfig {
    /// The default of [`expect_timeout`](Self::expect_timeout): 1 second, as other clients wait.
    pub const DEFAULT_EXPECT_TIMEOUT: Duration = Duration::from_secs(1);

    /// The default of [`write_timeout`](Self::write_timeout): 1 minute, as on the server's side.
    pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

    /// The default of [`max_informational`](Self::max_informational): far more than a server has reason to send, few
    /// enough that a stream of them ends.
    pub const DEFAULT_MAX_INFORMATIONAL: usize = 64;

    /// Sets [`head`](Self::head).
    #[must_use]
    pub fn with_head(mut self, head: HeadConfig) -> Self {
        self.head = head;
        self
    }

    /// Sets [`header_layout`](HeadConfig::header_layout) of [`head`](Self::head): whether responses carry, as a fact, how
    /// their fields stood on the wire.
    #[must_use]
    pub fn with_header_layout(mut self, record: bool) -> Self {
        self.head.header_layout = record;
        self
    }

    /// Sets [`body`](Self::body).
    #[must_use]
    pub fn with_body(mut self, body: BodyConfig) -> Self {
        self.body = body;
        self
    }

    /// Sets [`target_form`](Self::target_form).
    #[must_use]
    pub fn with_target_form(mut self, form: TargetForm) -> Self {
        self.target_form = form;
        self
    }

    /// Sets [`expect_timeout`](Self::expect_timeout).
    #[must_use]
    pub fn with_expect_timeout(mut self, timeout: Duration) -> Self {
        self.expect_timeout = timeout;
        self
    }

    /// Sets [`head_timeout`](Self::head_timeout).
    #[must_use]
    pub fn with_head_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// Sets [`write_timeout`](Self::write_timeout).
    #[must_use]
    pub fn with_write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets [`body_timeout`](Self::body_timeout).
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Sets [`max_informational`](Self::max_informational).
    #[must_use]
    pub fn with_max_informational(mut self, count: usize) -> Self {
        self.max_informational = count;
        self
    }
}
