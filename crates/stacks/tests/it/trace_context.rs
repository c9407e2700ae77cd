//! W3C Trace Context through the proxy: what a client says of its trace is its own.

use std::sync::{Arc, Mutex};

use chaski_core::{
    BoxError,
    http::{Body, Request, Response},
    service_fn_with,
};
use http::HeaderMap;
use tokio::io::AsyncWriteExt;

use crate::net::{Net, in_time, read_head};

/// Valid or not, once or often, in the order in which they came: a proxy that takes no part in a trace changes nothing of
/// it (section 4.2), and makes none up.
#[tokio::test(start_paused = true)]
async fn trace_fields_are_passed_on_as_they_came() {
    let net = Net::default();
    let seen = Arc::new(Mutex::new(Vec::<HeaderMap>::new()));
    let record = service_fn_with(Arc::clone(&seen), async |seen: Arc<Mutex<Vec<HeaderMap>>>, request: Request| {
        seen.lock().unwrap().push(request.headers().clone());
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert("traceresponse", "00-of-the-origin".parse()?);
        Ok::<_, BoxError>(response)
    });
    net.serve_at("origin.test:80", record);
    net.serve_at("proxy.test:3128", net.proxy("edge"));
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let cases: [(&[&str], &[&str]); 5] = [
        (&[valid], &["rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,a=b"]),
        (&["00-00000000000000000000000000000000-00f067aa0ba902b7-01"], &["", "x"]),
        (&["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-future"], &[]),
        (&["NOT valid", valid], &["=,;"]),
        (&[], &[]),
    ];
    in_time(async {
        let mut client = net.dial("proxy.test:3128").await;
        for (parents, states) in cases {
            let mut head = "GET http://origin.test/ HTTP/1.1\r\nhost: a\r\n".to_owned();
            parents.iter().for_each(|value| head.push_str(&format!("traceparent: {value}\r\n")));
            states.iter().for_each(|value| head.push_str(&format!("tracestate: {value}\r\n")));
            client.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
            let answer = read_head(&mut client).await;
            assert!(
                answer.starts_with("HTTP/1.1 200 ") && answer.contains("traceresponse: 00-of-the-origin\r\n"),
                "{answer}"
            );
            let headers = seen.lock().unwrap().pop().unwrap();
            for (name, sent) in [("traceparent", parents), ("tracestate", states)] {
                assert_eq!(headers.get_all(name).iter().collect::<Vec<_>>(), sent);
            }
        }
    })
    .await;
}
