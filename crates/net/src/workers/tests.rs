use std::convert::Infallible;

use chaski_core::{ShutdownSignal, service_fn};

use super::*;

/// A listener whose loop panics on one of the threads.
struct Faulty {
    panics: bool,
}

impl Source for Faulty {
    type Io = ();
    type Peer = &'static str;

    async fn accept(&self) -> io::Result<((), &'static str)> {
        assert!(!self.panics, "a panic that the test wants");
        std::future::pending().await
    }

    fn ready(&self, (): (), _: &&'static str, _: ShutdownSignal) -> io::Result<Conn<()>> {
        Ok(Conn::new(()))
    }
}

impl Split for Faulty {
    fn split(self, runtimes: &[Handle]) -> io::Result<Vec<Self>> {
        Ok((0..runtimes.len()).map(|number| Self { panics: number == 1 }).collect())
    }

    fn max_connections(&self) -> usize {
        1
    }

    fn describe_over<S: Service<Conn<()>>>(&self, service: &S) -> Description {
        service.describe()
    }
}

/// A thread that serves nothing any more, while the others go on, would look like a network that loses connections.
#[tokio::test]
#[should_panic(expected = "a panic that the test wants")]
async fn a_panic_of_one_accept_loop_is_not_silent() {
    let workers = Workers::new(NonZeroUsize::new(3).unwrap()).unwrap();
    let service = service_fn(async |_: Conn<()>| Ok::<_, Infallible>(()));
    let _ = workers.serve(Faulty { panics: false }, service, &Shutdown::new()).await;
}
