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

use crate::upload::UploadError;

/// A response of the proxy's own: a status and one line of text.
///
/// The line may quote what the client asked for, never what the proxy learned on the way: the addresses behind a name
/// tell of the network that the proxy stands in.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status, text: text.into() }
    }

    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// RFC 9110 section 7.6.3 leaves the status to the proxy; RFC 5842 section 7.2 has the one with the right name.
    pub(crate) fn looped() -> Self {
        Self::new(StatusCode::LOOP_DETECTED, "this request came through this proxy before")
    }

    /// Maps the cause of a failure on the way to `target` to the answer for the client. Reports it in full to the log.
    pub(crate) fn of_failure(target: &HostPort, error: &(dyn Error + 'static)) -> Self {
        let refusal = classify(target, error);
        let (status, chain) = (refusal.status.as_u16(), display_chain(error));
        if refusal.status.as_u16() == 500 {
            tracing::warn!(%target, status, error = %chain, "the proxy is set up in a way in which it cannot connect");
        } else {
            tracing::debug!(%target, status, error = %chain, "the proxy answers for the target");
        }
        refusal
    }

    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(Body::full(format!("{}\n", OneLine(&self.text))));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }
}

fn classify(target: &HostPort, error: &(dyn Error + 'static)) -> Refusal {
    let answer = |status, text: String| Refusal::new(status, text);
    let bad_gateway = |text| answer(StatusCode::BAD_GATEWAY, text);
    let timed_out = |text| answer(StatusCode::GATEWAY_TIMEOUT, text);
    // RFC 9110 section 15.6 leaves 5xx to the faults of servers; this is the client's.
    if let Some(upload) = find_cause::<UploadError>(error) {
        return match has_timed_out(upload) {
            true => answer(StatusCode::REQUEST_TIMEOUT, "the request's body stalled".to_owned()),
            false => Refusal::bad_request("the request's body is malformed or broke off"),
        };
    }
    match find_cause::<ConnectError>(error) {
        Some(failure) => match failure.stage() {
            ConnectStage::Policy => of_policy(target, failure),
            // Whoever set the proxy up is at fault, not the client and not the target.
            ConnectStage::Config => {
                answer(StatusCode::INTERNAL_SERVER_ERROR, format!("this proxy is not set up to connect to {target}"))
            }
            _ if is_timeout(failure) => timed_out(format!("timed out while connecting to {target}")),
            ConnectStage::Resolve => bad_gateway(format!("cannot resolve the name of {target}")),
            ConnectStage::Proxy => bad_gateway(format!("the next proxy on the way to {target} failed")),
            ConnectStage::Tls => bad_gateway(format!("the TLS handshake with {target} failed")),
            ConnectStage::Protocol => bad_gateway(format!("the protocol handshake with {target} failed")),
            _ => bad_gateway(format!("cannot connect to {target}")),
        },
        None if has_timed_out(error) => timed_out(format!("timed out while waiting for {target}")),
        None => bad_gateway(format!("no valid response from {target}")),
    }
}

/// The refusals were written to be shown; the first one stands for all.
fn of_policy(target: &HostPort, failure: &ConnectError) -> Refusal {
    let attempts = failure.attempts().iter().find_map(|attempt| find_cause::<Refused>(&*attempt.error));
    match attempts.or_else(|| find_cause::<Refused>(failure)) {
        Some(refused) if refused.kind() == RefusedKind::OwnAddress => {
            Refusal::new(StatusCode::LOOP_DETECTED, format!("refused to connect to {target}: {refused}"))
        }
        Some(refused) => Refusal::new(StatusCode::FORBIDDEN, format!("refused to connect to {target}: {refused}")),
        None => Refusal::new(StatusCode::FORBIDDEN, format!("refused to connect to {target}")),
    }
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

    /// H1-25: every cause has its status, and no answer tells an address that the client did not ask for.
    #[test]
    fn causes_map_to_answers() {
        use ConnectStage as Stage;
        let target = "db.example:443".parse().unwrap();
        let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let elapsed = Elapsed { what: "the response head", limit: std::time::Duration::from_secs(5) };
        let cases: Vec<(BoxError, u16, &str)> = vec![
            (connect(Stage::Resolve).into(), 502, "cannot resolve the name of db.example:443"),
            (connect(Stage::Dial).into(), 502, "cannot connect to db.example:443"),
            (connect(Stage::Proxy).into(), 502, "the next proxy on the way to db.example:443 failed"),
            (connect(Stage::Tls).into(), 502, "the TLS handshake with db.example:443 failed"),
            (connect(Stage::Protocol).into(), 502, "the protocol handshake with db.example:443 failed"),
            (connect(Stage::Timeout).into(), 504, "timed out while connecting to db.example:443"),
            (connect(Stage::Config).into(), 500, "this proxy is not set up to connect to db.example:443"),
            (connect(Stage::Policy).into(), 403, "refused to connect to db.example:443"),
            (
                connect(Stage::Policy).with_attempts(vec![attempt(Refused::new("no rule allows it"))]).into(),
                403,
                "refused to connect to db.example:443: no rule allows it",
            ),
            (
                connect(Stage::Policy).with_source(Refused::new("not at night")).into(),
                403,
                "refused to connect to db.example:443: not at night",
            ),
            (
                connect(Stage::Policy).with_source(Refused::new("here").with_kind(RefusedKind::OwnAddress)).into(),
                508,
                "refused to connect to db.example:443: here",
            ),
            (
                connect(Stage::Dial).with_attempts(vec![attempt(timed_out()), attempt(timed_out())]).into(),
                504,
                "timed out while connecting to db.example:443",
            ),
            (
                connect(Stage::Dial).with_attempts(vec![attempt(refused()), attempt(timed_out())]).into(),
                502,
                "cannot connect to db.example:443",
            ),
            (connect(Stage::Tls).with_source(elapsed).into(), 504, "timed out while connecting to db.example:443"),
            // However deep it lies.
            (
                SendError::<()>::unknown(io::Error::other(connect(Stage::Dial))).into(),
                502,
                "cannot connect to db.example:443",
            ),
            (SendError::<()>::unknown(elapsed).into(), 504, "timed out while waiting for db.example:443"),
            (Box::new(timed_out()), 504, "timed out while waiting for db.example:443"),
            (Box::new(refused()), 502, "no valid response from db.example:443"),
        ];
        for (error, status, text) in cases {
            let refusal = Refusal::of_failure(&target, &*error);
            assert_eq!((refusal.status.as_u16(), &*refusal.text), (status, text), "{error:?}");
            assert!(!refusal.text.contains("10.1.2.3"));
        }
    }

    #[tokio::test]
    async fn an_answer_is_one_line_whatever_it_quotes() {
        let response = Refusal::bad_request("a\r\nb\u{85}\u{1b}[31mc").into_response();
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
            assert_eq!(classify(&target, &error).status.as_u16(), status);
        }
    }
}
