//! Crumbs of cookies.

use chaski_core::{http::Request, service_fn};
use http::header;

use super::{frames::*, harness::*};

/// H2-13: three crumbs are one field for a service, in their order; one that comes whole stays as it is.
#[tokio::test(start_paused = true)]
async fn h2_13_crumbs_are_joined_for_services() {
    let service = service_fn(async |request: Request| {
        let cookies: Vec<_> = request.headers().get_all(header::COOKIE).iter().collect();
        Ok(ok(format!("{cookies:?}")))
    });
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2; c"), ("cookie", "d=3")], r#"["a=1; b=2; c; d=3"]"#),
        (&[("cookie", "a=1; b=2")], r#"["a=1; b=2"]"#),
        (&[], "[]"),
    ];
    let mut raw = Setup::new().raw(service).await;
    for (n, (fields, expected)) in cases.iter().enumerate() {
        let stream = 1 + 2 * n as u32;
        raw.send(&headers(stream, &[&pseudo("GET", "/")[..], fields].concat(), END_STREAM)).await;
        assert_eq!(raw.next_on(stream).await.kind, HEADERS);
        assert_eq!(String::from_utf8(raw.next_on(stream).await.payload).unwrap(), *expected);
    }
}
