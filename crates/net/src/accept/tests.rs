use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chaski_core::{BoxError, service_fn, service_fn_with};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::*;

/// A source that plays a script and then has no more connections. It counts how often it is asked.
#[derive(Clone)]
struct Script {
    peer: &'static str,
    steps: Arc<Mutex<VecDeque<Step>>>,
    asked: Arc<AtomicUsize>,
}

enum Step {
    Accept(u32),
    Fail(io::Error),
    FailToReady(u32),
}

use Step::{Accept, Fail, FailToReady};

impl Script {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { peer: "peer", steps: Arc::new(Mutex::new(steps.into_iter().collect())), asked: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Source for Script {
    type Io = u32;
    type Peer = &'static str;

    async fn accept(&self) -> io::Result<(u32, &'static str)> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let step = self.steps.lock().unwrap().pop_front();
        match step {
            Some(Accept(number)) => Ok((number, self.peer)),
            Some(FailToReady(number)) => Ok((number, "faulty")),
            Some(Fail(error)) => Err(error),
            None => std::future::pending().await,
        }
    }

    fn ready(&self, io: u32, peer: &&'static str, signal: ShutdownSignal) -> io::Result<Conn<u32>> {
        if *peer == "faulty" {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let conn = Conn::new(io);
        conn.ext.insert(signal);
        Ok(conn)
    }
}

/// A service that tells the number of each connection and when it came, and ends it.
fn arrivals() -> (impl Service<Conn<u32>, Error = Infallible>, mpsc::UnboundedReceiver<(u32, Duration)>) {
    let (tell, told) = mpsc::unbounded_channel();
    let begun = Instant::now();
    let service = service_fn_with(tell, move |tell: mpsc::UnboundedSender<_>, conn: Conn<u32>| async move {
        tell.send((conn.io, begun.elapsed())).unwrap();
        Ok::<_, Infallible>(())
    });
    (service, told)
}

async fn run<S: Service<Conn<u32>, Error: IntoBoxError>>(
    script: Script,
    service: S,
    max: usize,
) -> (Shutdown, tokio::task::JoinHandle<()>) {
    let shutdown = Shutdown::new();
    let signal = shutdown.clone();
    let task = tokio::spawn(async move { serve(script, Arc::new(service), slots(max), &signal).await });
    (shutdown, task)
}

/// NET-14: out of descriptors, the loop waits longer and longer, and goes on as soon as it can.
#[tokio::test(start_paused = true)]
async fn net_14_exhaustion_backs_off_and_recovers() {
    let exhausted = || Fail(io::Error::from_raw_os_error(24)); // EMFILE
    let script = Script::new([exhausted(), exhausted(), exhausted(), Accept(1), exhausted(), Accept(2)]);
    let (service, mut told) = arrivals();
    let (shutdown, task) = run(script.clone(), service, 10).await;

    assert_eq!(told.recv().await, Some((1, Duration::from_millis(5 + 10 + 20))));
    assert_eq!(told.recv().await, Some((2, Duration::from_millis(35 + 5))), "after a success it begins anew");
    assert_eq!(script.asked(), 7, "six steps of the script, and the wait for more");
    shutdown.begin();
    task.await.unwrap();
}

/// NET-14: a source that fails for ever is asked once a second in the end, not as fast as the processor can.
#[tokio::test(start_paused = true)]
async fn net_14_errors_without_end_do_not_spin() {
    let script = Script::new((0..10_000).map(|_| Fail(io::ErrorKind::OutOfMemory.into())));
    let (service, _told) = arrivals();
    let (shutdown, task) = run(script.clone(), service, 10).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!((60..=70).contains(&script.asked()), "{}", script.asked());

    // The pause ends with shutdown, not after it.
    let begun = Instant::now();
    shutdown.begin();
    task.await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// NET-14: a connection that died in the backlog costs no time.
#[tokio::test(start_paused = true)]
async fn net_14_lost_connections_do_not_delay_others() {
    let lost = |kind: io::ErrorKind| Fail(kind.into());
    let script = Script::new([
        lost(io::ErrorKind::ConnectionAborted),
        lost(io::ErrorKind::Interrupted),
        lost(io::ErrorKind::NetworkUnreachable),
        FailToReady(7),
        Accept(1),
    ]);
    let (service, mut told) = arrivals();
    let (_shutdown, _task) = run(script, service, 10).await;
    assert_eq!(told.recv().await, Some((1, Duration::ZERO)), "the one whose options fail is closed alone");
}

#[tokio::test(start_paused = true)]
async fn a_permit_is_taken_before_a_connection_is_accepted() {
    let script = Script::new([Accept(1), Accept(2), Accept(3)]);
    let release = Arc::new(Notify::new());
    let service = service_fn_with(Arc::clone(&release), async |release: Arc<Notify>, _: Conn<u32>| {
        release.notified().await;
        Ok::<_, Infallible>(())
    });
    let (shutdown, _task) = run(script.clone(), service, 2).await;
    settle().await;
    assert_eq!((script.asked(), shutdown.open()), (2, 2), "the third stays in the backlog");
    release.notify_one();
    settle().await;
    assert_eq!((script.asked(), shutdown.open()), (3, 2));
}

/// Several loops share the permits. One that has nothing to accept keeps none from those that have.
#[tokio::test(start_paused = true)]
async fn a_loop_that_waits_for_a_connection_holds_no_permit() {
    let (service, mut told) = arrivals();
    let (service, slots, shutdown) = (Arc::new(service), slots(1), Shutdown::new());
    let run = |script: Script| {
        let (service, slots, shutdown) = (Arc::clone(&service), Arc::clone(&slots), shutdown.clone());
        tokio::spawn(async move { serve(script, service, slots, &shutdown).await })
    };
    run(Script::new([]));
    settle().await;
    run(Script::new([Accept(1), Accept(2)]));
    assert_eq!(told.recv().await.unwrap().0, 1);
    assert_eq!(told.recv().await.unwrap().0, 2, "and the permit of the first one comes back");
}

#[tokio::test(start_paused = true)]
async fn errors_and_panics_give_their_permit_back() {
    let script = Script::new([Accept(1), Accept(2), Accept(3)]);
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = service_fn_with(tell, async |tell: mpsc::UnboundedSender<u32>, conn: Conn<u32>| {
        tell.send(conn.io)?;
        match conn.io {
            1 => Err(BoxError::from("no")),
            2 => panic!("a panic that the test wants"),
            _ => Ok(()),
        }
    });
    let (shutdown, _task) = run(script, service, 1).await;
    for number in 1..=3 {
        assert_eq!(told.recv().await, Some(number));
    }
    settle().await;
    assert_eq!(shutdown.open(), 0);
}

/// What is traced while it is installed, as text.
#[derive(Clone, Default)]
struct Traced(Arc<Mutex<Vec<u8>>>);

impl io::Write for Traced {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_traced_once_with_the_peer() {
    let traced = Traced::default();
    let writer = traced.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .finish();
    // For the whole process: one for this thread alone misses events that another test's thread was the first to meet. So
    // the peer tells which events are this test's.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let service = service_fn(async |conn: Conn<u32>| match conn.io {
        1 => Err(BoxError::from(io::Error::other("no disk"))),
        2 => Err(BoxError::from(io::Error::from(io::ErrorKind::BrokenPipe))),
        3 => panic!("a panic that the test wants"),
        4 => std::future::pending().await,
        _ => Ok(()),
    });
    let script = Script { peer: "ana", ..Script::new([1, 2, 3, 4, 5].map(Accept)) };
    let (shutdown, _task) = run(script, service, 10).await;
    settle().await;
    shutdown.drain(Duration::from_secs(1)).await;

    let text = String::from_utf8(traced.0.lock().unwrap().clone()).unwrap();
    let expected = [
        "INFO a connection failed error=no disk peer=ana",
        "DEBUG a peer left its connection error=broken pipe peer=ana",
        "ERROR a connection's service panicked; its connection is closed peer=ana",
        "DEBUG cut a connection at the end of draining peer=ana",
    ];
    assert_eq!(text.lines().map(str::trim).filter(|line| line.ends_with("ana")).collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn connections_know_the_shutdown_and_outlive_the_loop() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = service_fn_with(tell, async |tell: mpsc::UnboundedSender<bool>, conn: Conn<u32>| {
        let signal = conn.ext.get::<ShutdownSignal>().unwrap();
        tell.send(signal.is_draining()).unwrap();
        signal.draining().await;
        tell.send(signal.is_draining()).unwrap();
        std::future::pending::<()>().await;
        Ok::<_, Infallible>(())
    });
    let (shutdown, task) = run(Script::new([Accept(1)]), service, 1).await;
    assert_eq!(told.recv().await, Some(false));
    shutdown.begin();
    task.await.unwrap();
    assert_eq!(told.recv().await, Some(true));
    let report = shutdown.drain(Duration::from_secs(5)).await;
    assert_eq!((report.drained, report.cut), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_accepted_once_draining_has_begun() {
    let script = Script::new([Accept(1)]);
    let shutdown = Shutdown::new();
    shutdown.begin();
    let service = service_fn(async |_: Conn<u32>| Ok::<_, Infallible>(()));
    serve(script.clone(), Arc::new(service), slots(1), &shutdown).await;
    assert_eq!(script.asked(), 0);
}

/// Lets every task run until all wait: paused time moves only then.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
