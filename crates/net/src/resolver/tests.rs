use std::{
    future::Future,
    net::Ipv4Addr,
    pin::{Pin, pin},
    sync::{Condvar, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn localhost_resolves_to_loopback_addresses_of_the_family_asked_for() {
    let lookup = Lookup::new(Domain::from_static("localhost")).with_family(IpFamily::V4);
    let addrs = SystemResolver::new().serve(lookup).await.unwrap();
    assert!(addrs.iter().all(|ip| ip.is_ipv4() && ip.is_loopback()), "{addrs:?}");
}

#[tokio::test]
async fn a_place_is_kept_until_the_system_has_answered() {
    let resolver = SystemResolver::with_concurrency(0);
    let only_place = resolver.places.take(Caller::Unknown).await;
    let lookup = || Lookup::new(Domain::from_static("localhost"));
    let mut waiting = pin!(resolver.serve(lookup()));
    assert!(is_pending(waiting.as_mut()).await);
    drop(only_place);
    assert!(waiting.await.is_ok());
    assert!(resolver.serve(lookup()).await.is_ok());
}

/// Closed while the servers of `silent.example` are silent.
static SERVERS: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// Its time comes when the test ends, however it ends: threads that wait would hold the runtime up.
struct Silence;

impl Drop for Silence {
    fn drop(&mut self) {
        *SERVERS.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        SERVERS.1.notify_all();
    }
}

fn fake(name: &str) -> io::Result<Vec<IpAddr>> {
    if name.ends_with("silent.example") {
        let answering = SERVERS.0.lock().unwrap();
        drop(SERVERS.1.wait_while(answering, |answering| !*answering).unwrap());
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(vec![Ipv4Addr::LOCALHOST.into()])
}

/// A client that asks for one dead name after the other, and goes away each time, as the look-ups cannot.
#[tokio::test]
async fn one_caller_that_asks_for_dead_names_does_not_stop_the_others() {
    let resolver = SystemResolver { ask: fake, ..SystemResolver::with_concurrency(16) };
    let _silence = Silence;
    let caller = |n: u8| Caller::Address(Ipv4Addr::new(10, 0, 0, n).into());
    let ask = |name: String, caller| resolver.serve(Lookup::new(name.parse().unwrap()).with_caller(caller));
    for n in 0..100 {
        assert!(is_pending(pin!(ask(format!("{n}.silent.example"), caller(1)))).await, "{n}");
    }

    // Only a guard against hanging.
    let answer = timeout(Duration::from_secs(30), ask("www.example".to_owned(), caller(2))).await;
    let addrs = answer.expect("another caller waits").unwrap();
    assert_eq!(addrs.iter().collect::<Vec<_>>(), [&IpAddr::from(Ipv4Addr::LOCALHOST)]);
    assert!(ask("www.example".to_owned(), Caller::Unknown).await.is_ok());
    assert!(is_pending(pin!(ask("www.example".to_owned(), caller(1)))).await, "its own names wait for its dead ones");
    assert_eq!(resolver.places.callers(), 1, "who waits for nothing is forgotten");
}

/// Polled once.
async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}
