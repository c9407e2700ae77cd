//! Proxy-Status (RFC 9209): which proxy made an answer, and why.

use std::fmt::{self, Write as _};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::Pseudonym;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The types of RFC 9209 section 2.3 that this proxy has a cause for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyError {
    DnsTimeout,
    DnsError,
    DestinationUnavailable,
    DestinationIpProhibited,
    DestinationIpUnroutable,
    ConnectionRefused,
    ConnectionTerminated,
    ConnectionTimeout,
    ConnectionLimitReached,
    TlsProtocolError,
    HttpRequestError,
    HttpRequestDenied,
    HttpResponseTimeout,
    HttpProtocolError,
    ProxyInternalResponse,
    ProxyInternalError,
    ProxyConfigurationError,
    ProxyLoopDetected,
}

impl ProxyError {
    /// As it is registered.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::DnsTimeout => "dns_timeout",
            Self::DnsError => "dns_error",
            Self::DestinationUnavailable => "destination_unavailable",
            Self::DestinationIpProhibited => "destination_ip_prohibited",
            Self::DestinationIpUnroutable => "destination_ip_unroutable",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionTerminated => "connection_terminated",
            Self::ConnectionTimeout => "connection_timeout",
            Self::ConnectionLimitReached => "connection_limit_reached",
            Self::TlsProtocolError => "tls_protocol_error",
            Self::HttpRequestError => "http_request_error",
            Self::HttpRequestDenied => "http_request_denied",
            Self::HttpResponseTimeout => "http_response_timeout",
            Self::HttpProtocolError => "http_protocol_error",
            Self::ProxyInternalResponse => "proxy_internal_response",
            Self::ProxyInternalError => "proxy_internal_error",
            Self::ProxyConfigurationError => "proxy_configuration_error",
            Self::ProxyLoopDetected => "proxy_loop_detected",
        }
    }
}

/// What a proxy says of a response: one member of the list.
#[derive(Debug)]
pub(crate) struct Member(String);

impl Member {
    /// A member that names the proxy.
    pub(crate) fn by(proxy: &Pseudonym) -> Self {
        let name = proxy.as_str();
        // RFC 9209 section 2: a token or a string. RFC 8941 section 3.3.4: a token begins with a letter or `*`. All that a
        // pseudonym has behind that is allowed in it.
        if name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '*') {
            Self(name.to_owned())
        } else {
            Self(Quoted(name).to_string())
        }
    }

    pub(crate) fn with_error(mut self, error: ProxyError, status: StatusCode) -> Self {
        self.param("error", error.name());
        if error == ProxyError::HttpRequestError {
            self.param("status-code", status.as_u16());
        }
        self
    }

    /// The status that the next hop sent.
    pub(crate) fn with_received_status(mut self, status: StatusCode) -> Self {
        self.param("received-status", status.as_u16());
        self
    }

    pub(crate) fn with_details(mut self, details: &str) -> Self {
        self.param("details", Quoted(details));
        self
    }

    /// RFC 8941 section 4.1.1.2: no white space.
    fn param(&mut self, key: &str, value: impl fmt::Display) {
        // Writing to a string does not fail.
        let _ = write!(self.0, ";{key}={value}");
    }

    /// Adds the member behind those that are there: RFC 9209 section 2 has the proxy nearest to the client last, and the
    /// others kept. In a line of its own, which is the same list (RFC 8941 section 4.2), whatever the other lines hold.
    pub(crate) fn append_to(self, headers: &mut HeaderMap) {
        // What was written is ASCII without controls; if that ever changes, nothing is said.
        if let Ok(value) = HeaderValue::try_from(self.0) {
            headers.append(PROXY_STATUS, value);
        }
    }
}

/// Adds this proxy to a list that others have begun, so that its order stays that of the way. Not for where nobody has said
/// anything: there is nothing to tell, Via names the proxy already.
pub(crate) fn pass_on(proxy: &Pseudonym, status: StatusCode, headers: &mut HeaderMap) {
    Member::by(proxy).with_received_status(status).append_to(headers);
}

/// A string of RFC 8941 section 4.1.6. It holds printable ASCII only; other characters are written as in Rust.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ' '..='~' => f.write_char(c)?,
                // Its one backslash becomes two, as any.
                _ => write!(f, "\\{}", c.escape_default())?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(name: &str) -> Pseudonym {
        name.parse().unwrap()
    }

    /// The examples of RFC 9209 section 2, as far as this proxy says such things, in the form that RFC 8941 section 4.1
    /// gives them.
    #[test]
    fn members_are_written_as_structured_fields() {
        let timeout = (ProxyError::ConnectionTimeout, StatusCode::GATEWAY_TIMEOUT);
        let too_many = (ProxyError::HttpRequestError, StatusCode::TOO_MANY_REQUESTS);
        let malformed = (ProxyError::HttpProtocolError, StatusCode::BAD_GATEWAY);
        let cases = [
            (Member::by(&proxy("ExampleCDN")), "ExampleCDN"),
            (Member::by(&proxy("r34.example.net")), "r34.example.net"),
            (Member::by(&proxy("ExampleCDN")).with_error(timeout.0, timeout.1), "ExampleCDN;error=connection_timeout"),
            (
                Member::by(&proxy("SomeReverseProxy")).with_error(too_many.0, too_many.1),
                "SomeReverseProxy;error=http_request_error;status-code=429",
            ),
            (Member::by(&proxy("ExampleCDN")).with_received_status(StatusCode::OK), "ExampleCDN;received-status=200"),
            (
                Member::by(&proxy("proxy.example.net"))
                    .with_error(malformed.0, malformed.1)
                    .with_details("Malformed response header: space before colon"),
                "proxy.example.net;error=http_protocol_error;details=\"Malformed response header: space before colon\"",
            ),
        ];
        for (member, expected) in cases {
            assert_eq!(member.0, expected);
        }
    }

    #[test]
    fn a_name_that_is_no_token_is_a_string() {
        for (name, expected) in [
            ("*me", "*me"),
            ("a!#$%&'*+-.^_`|~9", "a!#$%&'*+-.^_`|~9"),
            ("9me", "\"9me\""),
            ("-me", "\"-me\""),
            ("'me'", "\"'me'\""),
        ] {
            assert_eq!(Member::by(&proxy(name)).0, expected);
        }
    }

    #[test]
    fn strings_hold_printable_ascii_and_escape_what_ends_them() {
        for (text, expected) in [
            ("", r#""""#),
            (" a~", r#"" a~""#),
            (r#"the rule "deny *""#, r#""the rule \"deny *\"""#),
            (r"a\b", r#""a\\b""#),
            ("a\r\nb\t\0\u{7f}", r#""a\\r\\nb\\t\\u{0}\\u{7f}""#),
            ("naïve €", r#""na\\u{ef}ve \\u{20ac}""#),
        ] {
            assert_eq!(Quoted(text).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_member_follows_those_of_the_proxies_before() {
        let mut headers = HeaderMap::new();
        headers.append(PROXY_STATUS, HeaderValue::from_static("FooProxy, ExampleCDN;error=dns_error"));
        pass_on(&proxy("me"), StatusCode::BAD_GATEWAY, &mut headers);
        let lines: Vec<_> = headers.get_all(PROXY_STATUS).iter().collect();
        assert_eq!(lines, ["FooProxy, ExampleCDN;error=dns_error", "me;received-status=502"]);
    }
}
