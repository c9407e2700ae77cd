use std::sync::{Arc, Mutex};

use chaski_core::{
    Extensions, Service,
    http::{InformationalError, InformationalSink, InformationalSource, Message, OnInformational, Response},
};
use http::{HeaderMap, StatusCode, Version};

use crate::support::{Bench, lines, request, response, unfailing};

type Sent = (u64, u16, Vec<String>);

/// What an engine was asked to send ahead.
#[derive(Default)]
struct Engine(Mutex<Vec<Sent>>);

impl InformationalSink for Engine {
    fn request(&self) -> u64 {
        7
    }

    fn send(&self, request: u64, status: StatusCode, headers: &HeaderMap) -> Result<(), InformationalError> {
        self.0.lock().unwrap().push((request, status.as_u16(), lines(headers)));
        Ok(())
    }
}

fn interim(status: u16, fields: &[(&'static str, &'static str)]) -> Response<()> {
    let builder = fields
        .iter()
        .fold(http::Response::builder().status(status), |builder, (name, value)| builder.header(*name, *value));
    builder.body(()).unwrap()
}

/// H1-22: every informational response is forwarded in order, unknown ones too, without the fields of its hop; and whoever
/// listens further out hears of it as well.
#[tokio::test]
async fn h1_22_informational_responses_are_forwarded() {
    for listens_above in [false, true] {
        let engine = Arc::new(Engine::default());
        let above = Arc::new(Mutex::new(Vec::new()));
        let mut bench = Bench::new();
        let mut sent = request("GET", "http://a.example/", &[]);
        let scope = Extensions::new();
        scope.insert(InformationalSource(Arc::clone(&engine) as Arc<dyn InformationalSink>));
        sent.set_scope(scope.fork());
        if listens_above {
            let seen_above = Arc::clone(&above);
            OnInformational::new(move |response| {
                seen_above.lock().unwrap().push(response.status().as_u16());
            })
            .attach(&mut sent);
        }

        let (answer, ()) = tokio::join!(bench.proxy.serve(sent), async {
            let call = bench.client.next().await;
            let report = OnInformational::of(&call.input).unwrap();
            report.report(interim(103, &[("link", "</a.css>"), ("connection", "x-hop"), ("x-hop", "1")]));
            let mut old = interim(199, &[]);
            *old.version_mut() = Version::HTTP_10;
            report.report(old);
            call.respond(Ok(response(200, &[])));
        });
        assert_eq!(unfailing(answer).status(), 200);
        let line = |text: &str| text.to_owned();
        let expected =
            [(7, 103, vec![line("link: </a.css>"), line("via: 1.1 me")]), (7, 199, vec![line("via: 1.0 me")])];
        assert_eq!(*engine.0.lock().unwrap(), expected);
        assert_eq!(*above.lock().unwrap(), if listens_above { &[103, 199][..] } else { &[] });
    }
}

#[tokio::test]
async fn a_client_that_cannot_get_any_costs_nothing() {
    let (seen, _) = Bench::new().forwarded(request("GET", "http://a.example/", &[]), response(200, &[])).await;
    assert!(OnInformational::of(&seen).is_none());
}
