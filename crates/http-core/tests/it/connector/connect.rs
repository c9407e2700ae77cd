//! From a connector to sessions.

use chaski_core::{
    Connect, ConnectError, ConnectStage, HttpVersion, Service, Session, User, describe, http::Message, service_fn,
    test_util::pipe,
};
use chaski_http_core::{Http1ClientConfig, Http1Connector};
use tokio::{join, sync::Mutex};

use super::*;

fn to() -> Connect {
    Connect::new("a:80".parse::<chaski_core::HostPort>().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_connections_facts_are_found_on_responses_and_errors() {
    let (near, far) = pipe();
    let slot = Arc::new(Mutex::new(Some(near)));
    let dial = service_fn(move |_: Connect| {
        let slot = Arc::clone(&slot);
        async move {
            let io = slot.lock().await.take().ok_or_else(|| ConnectError::new(ConnectStage::Dial))?;
            let conn = Conn::new(io);
            conn.ext.insert(User("peer".into()));
            Ok::<_, ConnectError>(conn)
        }
    });
    let connector = Http1Connector::new(dial, Http1ClientConfig::default());
    assert!(describe::<Connect, _>(&connector).children()[0].name().starts_with("service_fn"));
    let session = connector.serve(to()).await.unwrap();
    assert_eq!(session.scope().get(), Some(&HttpVersion(http::Version::HTTP_11)));

    let (peer, ()) = join!(script(far).expect(GET).send(OK_EMPTY).close().run(), async {
        let mut response = session.serve(get()).await.unwrap();
        assert_eq!(response.fact(), Some(&HttpVersion(http::Version::HTTP_11)));
        assert_eq!(response.fact(), Some(&User("peer".into())));
        // A child: what is learned about one response is not told about the connection.
        response.scope().insert(1_u8);
        assert_eq!(session.scope().get::<u8>(), None);
    });
    peer.unwrap();
    let error = session.serve(get()).await.unwrap_err();
    assert_eq!(error.scope().get(), Some(&User("peer".into())));

    assert_eq!(connector.serve(to()).await.unwrap_err().stage(), ConnectStage::Dial);
}

#[tokio::test(start_paused = true)]
async fn without_facts_responses_have_no_scope() {
    let (near, mut far) = pipe();
    let session = session(near);
    let (peer, response) = join!(script(&mut far).expect(GET).send(OK_EMPTY).run(), session.serve(get()));
    peer.unwrap();
    assert!(response.unwrap().existing_scope().is_none());
}
