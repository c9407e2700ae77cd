//! What the proxy answers when it does not hand on another's answer.

use std::{
    borrow::Cow,
    error::Error,
    fmt::{self, Write as _},
    io,
};

use chaski_core::{
    Attempt, ConnectError, ConnectStage, Elapsed, HostPort, Refused, RefusedKind, display_chain, find_cause,
    http::{Body, Response},
};
use http::{HeaderValue, StatusCode, header};

use crate::{
    Pseudonym,
    status::{Member, ProxyError},
    upload::UploadError,
};

/// A response of the proxy's own: a status, its cause, and one line of text.
///
/// The line may quote what the client asked for, never what the proxy learned on the way: the addresses behind a name
/// tell of the network that the proxy stands in.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) error: ProxyError,
    pub(crate) text: Cow<'static, str>,
    /// The status that the target sent, where this answer stands for it.
    received: Option<StatusCode>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: ProxyError, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error, text: text.into(), received: None }
    }

    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ProxyError::HttpRequestError, text)
    }

    /// In place of a response that must not be handed on.
    pub(crate) fn instead_of(received: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        let refusal = Self::new(StatusCode::BAD_GATEWAY, ProxyError::HttpProtocolError, text);
        Self { received: Some(received), ..refusal }
    }

    /// RFC 9110 section 7.6.3 leaves the status to the proxy; RFC 5842 section 7.2 has the one with the right name.
    pub(crate) fn looped() -> Self {
        let error = ProxyError::ProxyLoopDetected;
        Self::new(StatusCode::LOOP_DETECTED, error, "this request came through this proxy before")
    }

    /// Maps the cause of a failure on the way to `target` to the answer for the client. Reports it in full to the log.
    pub(crate) fn of_failure(target: &HostPort, error: &(dyn Error + 'static)) -> Self {
        let refusal = classify(target, error);
        let (status, cause, chain) = (refusal.status.as_u16(), refusal.error.name(), display_chain(error));
        if refusal.status.as_u16() == 500 {
            tracing::warn!(%target, status, error = %chain, "the proxy is set up in a way in which it cannot connect");
        } else {
            tracing::debug!(%target, status, cause, error = %chain, "the proxy answers for the target");
        }
        refusal
    }

    /// The response, with the cause in Proxy-Status too if the proxy has a name.
    pub(crate) fn into_response(self, by: Option<&Pseudonym>) -> Response {
        let mut response = Response::new(Body::full(format!("{}\n", OneLine(&self.text))));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        // RFC 9110 section 15.6.4. In seconds (section 10.2.3): what is too much now is over soon.
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(by) = by {
            let mut member = Member::by(by).with_error(self.error, self.status);
            if let Some(received) = self.received {
                member = member.with_received_status(received);
            }
            member.with_details(&self.text).append_to(headers);
        }
        response
    }
}

fn classify(target: &HostPort, error: &(dyn Error + 'static)) -> Refusal {
    let bad_gateway = |error, text| Refusal::new(StatusCode::BAD_GATEWAY, error, text);
    let timed_out = |error, text| Refusal::new(StatusCode::GATEWAY_TIMEOUT, error, text);
    // RFC 9110 section 15.6 leaves 5xx to the faults of servers; this is the client's.
    if let Some(upload) = find_cause::<UploadError>(error) {
        return match has_timed_out(upload) {
            true => {
                let status = StatusCode::REQUEST_TIMEOUT;
                Refusal::new(status, ProxyError::HttpRequestError, "the request's body stalled")
            }
            false => Refusal::bad_request("the request's body is malformed or broke off"),
        };
    }
    match find_cause::<ConnectError>(error) {
        Some(failure) => match (failure.stage(), is_timeout(failure)) {
            (ConnectStage::Policy, _) => of_policy(target, failure),
            _ if is_exhausted(failure) => {
                let text = format!("this proxy has no means left to connect to {target}, try again");
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ProxyError::ProxyInternalError, text)
            }
            // Whoever set the proxy up is at fault, not the client and not the target.
            (ConnectStage::Config, _) => {
                let text = format!("this proxy is not set up to connect to {target}");
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, ProxyError::ProxyConfigurationError, text)
            }
            (ConnectStage::Limit, _) => {
                let text = format!("too many connections are open to connect to {target}, try again");
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, ProxyError::ConnectionLimitReached, text)
            }
            (ConnectStage::Resolve, true) => {
                timed_out(ProxyError::DnsTimeout, format!("timed out while resolving the name of {target}"))
            }
            (ConnectStage::Resolve, false) => {
                bad_gateway(ProxyError::DnsError, format!("cannot resolve the name of {target}"))
            }
            (_, true) => timed_out(ProxyError::ConnectionTimeout, format!("timed out while connecting to {target}")),
            (ConnectStage::Proxy, _) => {
                bad_gateway(of_dial(failure), format!("the next proxy on the way to {target} failed"))
            }
            (ConnectStage::Tls, _) => {
                bad_gateway(ProxyError::TlsProtocolError, format!("the TLS handshake with {target} failed"))
            }
            (ConnectStage::Protocol, _) => {
                bad_gateway(ProxyError::HttpProtocolError, format!("the protocol handshake with {target} failed"))
            }
            _ => bad_gateway(of_dial(failure), format!("cannot connect to {target}")),
        },
        None if has_timed_out(error) => {
            timed_out(ProxyError::HttpResponseTimeout, format!("timed out while waiting for {target}"))
        }
        // A connection that broke shows by an error of the IO.
        None if find_cause::<io::Error>(error).is_some() => {
            bad_gateway(ProxyError::ConnectionTerminated, format!("no valid response from {target}"))
        }
        None => bad_gateway(ProxyError::HttpProtocolError, format!("no valid response from {target}")),
    }
}

/// The refusals were written to be shown; the first one stands for all.
fn of_policy(target: &HostPort, failure: &ConnectError) -> Refusal {
    let of_address = failure.attempts().iter().find_map(|attempt| find_cause::<Refused>(&*attempt.error));
    // What was refused before there was an address, was refused for what the client asked for.
    let error = match of_address {
        Some(_) => ProxyError::DestinationIpProhibited,
        None => ProxyError::HttpRequestDenied,
    };
    match of_address.or_else(|| find_cause::<Refused>(failure)) {
        Some(refused) => {
            let text = format!("refused to connect to {target}: {refused}");
            match refused.kind() {
                RefusedKind::OwnAddress => Refusal::new(StatusCode::LOOP_DETECTED, ProxyError::ProxyLoopDetected, text),
                _ => Refusal::new(StatusCode::FORBIDDEN, error, text),
            }
        }
        None => Refusal::new(StatusCode::FORBIDDEN, error, format!("refused to connect to {target}")),
    }
}

/// Of several addresses, the one whose failure says most about the target.
fn of_dial(failure: &ConnectError) -> ProxyError {
    use io::ErrorKind as Kind;

    let mut kinds: Vec<Kind> = failure.attempts().iter().filter_map(|attempt| kind(&*attempt.error)).collect();
    if failure.attempts().is_empty() {
        kinds.extend(kind(failure));
    }
    let any = |of: &[Kind]| kinds.iter().any(|kind| of.contains(kind));
    if any(&[Kind::ConnectionRefused]) {
        ProxyError::ConnectionRefused
    } else if any(&[Kind::ConnectionReset, Kind::ConnectionAborted, Kind::UnexpectedEof]) {
        ProxyError::ConnectionTerminated
    } else if any(&[Kind::TimedOut]) {
        ProxyError::ConnectionTimeout
    } else if any(&[Kind::NetworkUnreachable, Kind::HostUnreachable]) {
        ProxyError::DestinationIpUnroutable
    } else {
        ProxyError::DestinationUnavailable
    }
}

fn kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    match has_timed_out(error) {
        true => Some(io::ErrorKind::TimedOut),
        false => find_cause::<io::Error>(error).map(io::Error::kind),
    }
}

/// Whether the system refused a file or memory: the target has nothing to do with it, and the answer must not blame it.
fn is_exhausted(failure: &ConnectError) -> bool {
    // These have no kind. ENFILE and EMFILE have the same numbers on every Unix; elsewhere it is WSAEMFILE.
    const NO_FILES: &[i32] = if cfg!(unix) { &[23, 24] } else { &[10024] };

    let is_about_means = |error: &io::Error| {
        error.kind() == io::ErrorKind::OutOfMemory || error.raw_os_error().is_some_and(|code| NO_FILES.contains(&code))
    };
    let of_attempts = failure.attempts().iter().filter_map(|attempt| find_cause::<io::Error>(&*attempt.error));
    of_attempts.chain(find_cause::<io::Error>(failure)).any(is_about_means)
}

fn is_timeout(failure: &ConnectError) -> bool {
    let attempt_timed_out = |attempt: &Attempt| has_timed_out(&*attempt.error);
    match (failure.is_timeout(), failure.attempts()) {
        (true, _) => true,
        (false, []) => has_timed_out(failure),
        // One address that answered with a refusal shows that the network is there: 502.
        (false, attempts) => attempts.iter().all(attempt_timed_out),
    }
}

fn has_timed_out(error: &(dyn Error + 'static)) -> bool {
    find_cause::<Elapsed>(error).is_some()
        || find_cause::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// Escapes control characters. Most texts come from checked values and have none; this holds for all of them.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_debug())?,
                false => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chaski_core::{BoxError, SendError};

    use super::*;

    fn attempt(error: impl Into<BoxError>) -> Attempt {
        Attempt { addr: "10.1.2.3:443".parse().unwrap(), error: error.into() }
    }

    fn connect(stage: ConnectStage) -> ConnectError {
        ConnectError::new(stage).with_message("10.1.2.3")
    }

    /// H1-25: every cause has its status and its type of RFC 9209, and no answer tells an address that the client did not
    /// ask for.
    #[test]
    fn causes_map_to_answers() {
        use ConnectStage as Stage;
        use io::ErrorKind as Kind;

        let target = "db.example:443".parse().unwrap();
        let io = |kind: Kind| io::Error::from(kind);
        let elapsed = Elapsed { what: "the response head", limit: std::time::Duration::from_secs(5) };
        let dial = |kinds: &[Kind]| {
            connect(Stage::Dial).with_attempts(kinds.iter().map(|kind| attempt(io(*kind))).collect()).into()
        };
        let refused = |reason: &'static str| Refused::new(reason);
        let cases: Vec<(BoxError, u16, &str, &str)> = vec![
            (connect(Stage::Resolve).into(), 502, "dns_error", "cannot resolve the name of db.example:443"),
            (
                connect(Stage::Resolve).with_source(elapsed).into(),
                504,
                "dns_timeout",
                "timed out while resolving the name of db.example:443",
            ),
            (connect(Stage::Dial).into(), 502, "destination_unavailable", "cannot connect to db.example:443"),
            (
                connect(Stage::Proxy).into(),
                502,
                "destination_unavailable",
                "the next proxy on the way to db.example:443 failed",
            ),
            (
                connect(Stage::Proxy).with_source(io(Kind::ConnectionRefused)).into(),
                502,
                "connection_refused",
                "the next proxy on the way to db.example:443 failed",
            ),
            (connect(Stage::Tls).into(), 502, "tls_protocol_error", "the TLS handshake with db.example:443 failed"),
            (
                connect(Stage::Protocol).into(),
                502,
                "http_protocol_error",
                "the protocol handshake with db.example:443 failed",
            ),
            (connect(Stage::Timeout).into(), 504, "connection_timeout", "timed out while connecting to db.example:443"),
            (
                connect(Stage::Config).into(),
                500,
                "proxy_configuration_error",
                "this proxy is not set up to connect to db.example:443",
            ),
            (
                connect(Stage::Dial).with_attempts(vec![attempt(io(Kind::OutOfMemory))]).into(),
                503,
                "proxy_internal_error",
                "this proxy has no means left to connect to db.example:443, try again",
            ),
            (
                connect(Stage::Resolve).with_source(io(Kind::OutOfMemory)).into(),
                503,
                "proxy_internal_error",
                "this proxy has no means left to connect to db.example:443, try again",
            ),
            (
                connect(Stage::Limit).with_source("2 calls wait").into(),
                503,
                "connection_limit_reached",
                "too many connections are open to connect to db.example:443, try again",
            ),
            (connect(Stage::Policy).into(), 403, "http_request_denied", "refused to connect to db.example:443"),
            (
                connect(Stage::Policy).with_attempts(vec![attempt(refused("no rule allows it"))]).into(),
                403,
                "destination_ip_prohibited",
                "refused to connect to db.example:443: no rule allows it",
            ),
            (
                connect(Stage::Policy).with_source(refused("not at night")).into(),
                403,
                "http_request_denied",
                "refused to connect to db.example:443: not at night",
            ),
            (
                connect(Stage::Policy).with_source(refused("here").with_kind(RefusedKind::OwnAddress)).into(),
                508,
                "proxy_loop_detected",
                "refused to connect to db.example:443: here",
            ),
            (
                dial(&[Kind::TimedOut, Kind::TimedOut]),
                504,
                "connection_timeout",
                "timed out while connecting to db.example:443",
            ),
            (
                dial(&[Kind::TimedOut, Kind::ConnectionRefused]),
                502,
                "connection_refused",
                "cannot connect to db.example:443",
            ),
            (
                dial(&[Kind::NetworkUnreachable, Kind::ConnectionReset]),
                502,
                "connection_terminated",
                "cannot connect to db.example:443",
            ),
            (
                dial(&[Kind::NetworkUnreachable, Kind::TimedOut]),
                502,
                "connection_timeout",
                "cannot connect to db.example:443",
            ),
            (
                dial(&[Kind::NetworkUnreachable, Kind::HostUnreachable]),
                502,
                "destination_ip_unroutable",
                "cannot connect to db.example:443",
            ),
            (dial(&[Kind::PermissionDenied]), 502, "destination_unavailable", "cannot connect to db.example:443"),
            (
                connect(Stage::Tls).with_source(elapsed).into(),
                504,
                "connection_timeout",
                "timed out while connecting to db.example:443",
            ),
            // However deep it lies.
            (
                SendError::<()>::unknown(io::Error::other(connect(Stage::Dial))).into(),
                502,
                "destination_unavailable",
                "cannot connect to db.example:443",
            ),
            (
                SendError::<()>::unknown(elapsed).into(),
                504,
                "http_response_timeout",
                "timed out while waiting for db.example:443",
            ),
            (Box::new(io(Kind::TimedOut)), 504, "http_response_timeout", "timed out while waiting for db.example:443"),
            (
                Box::new(io(Kind::ConnectionReset)),
                502,
                "connection_terminated",
                "no valid response from db.example:443",
            ),
            ("nonsense".into(), 502, "http_protocol_error", "no valid response from db.example:443"),
        ];
        for (error, status, cause, text) in cases {
            let refusal = Refusal::of_failure(&target, &*error);
            assert_eq!(
                (refusal.status.as_u16(), refusal.error.name(), &*refusal.text),
                (status, cause, text),
                "{error:?}"
            );
            let answer = refusal.into_response(Some(&"me".parse().unwrap()));
            assert_eq!(answer.headers()["proxy-status"], format!("me;error={cause};details=\"{text}\"").as_str());
            assert!(!format!("{answer:?}").contains("10.1.2.3"));
        }
    }

    /// EMFILE, which a flood of clients brings about, is no fault of the target.
    #[cfg(unix)]
    #[test]
    fn a_proxy_without_files_left_blames_itself() {
        let target = "db.example:443".parse().unwrap();
        let no_files = || attempt(io::Error::from_raw_os_error(24));
        let error = connect(ConnectStage::Dial).with_attempts(vec![attempt(io::Error::other("odd")), no_files()]);
        let refusal = classify(&target, &error);
        assert_eq!((refusal.status.as_u16(), refusal.error.name()), (503, "proxy_internal_error"));
    }

    #[tokio::test]
    async fn an_answer_is_one_line_whatever_it_quotes() {
        let response = Refusal::bad_request("a\r\nb\u{85}\u{1b}[31mc").into_response(None);
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(response.into_body().collect(100).await.unwrap(), "a\\r\\nb\\u{85}\\u{1b}[31mc\n");
    }

    /// The client's own failures are no failures of the target, also where both look alike.
    #[test]
    fn a_client_that_fails_in_its_body_is_told_so() {
        let target = "a.example:80".parse().unwrap();
        let stalled = Elapsed { what: "a read", limit: std::time::Duration::from_secs(1) };
        for (cause, status) in [(BoxError::from("cut off"), 400), (stalled.into(), 408)] {
            let error = SendError::<()>::unknown(UploadError(cause));
            let refusal = classify(&target, &error);
            assert_eq!((refusal.status.as_u16(), refusal.error), (status, ProxyError::HttpRequestError));
        }
    }
}
