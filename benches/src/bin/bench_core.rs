//! `bench-core WORK COUNT`: does a small piece of work so many times. `direct` calls a service, `layers` the same behind ten
//! layers that do nothing, each with an `async fn`, and `futures` behind ten that give back the next one's future; `facts`
//! records three facts in the scope of a message and looks five up, `http-facts` does so in the `Extensions` of the `http`
//! crate.

use std::{convert::Infallible, hint::black_box};

use chaski::{BoxError, Extensions, Layer, Service, service_fn, stack};

fn main() -> Result<(), BoxError> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [work, count] = args.as_slice() else {
        return Err("usage: bench-core direct|layers|futures|facts|http-facts COUNT".into());
    };
    let count = count.parse()?;
    match work.as_str() {
        "direct" => call(count, service_fn(leaf)),
        "layers" => {
            call(count, stack((Plain, Plain, Plain, Plain, Plain, Plain, Plain, Plain, Plain, Plain), service_fn(leaf)))
        }
        "futures" => call(count, stack((Bare, Bare, Bare, Bare, Bare, Bare, Bare, Bare, Bare, Bare), service_fn(leaf))),
        "facts" => record_and_find::<Extensions>(count),
        "http-facts" => record_and_find::<http::Extensions>(count),
        other => Err(format!("no work is called {other}").into()),
    }
}

async fn leaf(number: u64) -> Result<u64, Infallible> {
    Ok(number + 1)
}

/// A layer that does nothing.
struct Plain;

/// What [`Plain`] makes of a service.
struct Around<S>(S);

impl<S> Layer<S> for Plain {
    type Service = Around<S>;

    fn layer(&self, inner: S) -> Around<S> {
        Around(inner)
    }
}

impl<S: Service<u64>> Service<u64> for Around<S> {
    type Output = S::Output;
    type Error = S::Error;

    async fn serve(&self, input: u64) -> Result<S::Output, S::Error> {
        self.0.serve(input).await
    }
}

/// A layer that does nothing, and is no future of its own either.
struct Bare;

/// What [`Bare`] makes of a service.
struct HandOn<S>(S);

impl<S> Layer<S> for Bare {
    type Service = HandOn<S>;

    fn layer(&self, inner: S) -> HandOn<S> {
        HandOn(inner)
    }
}

impl<S: Service<u64>> Service<u64> for HandOn<S> {
    type Output = S::Output;
    type Error = S::Error;

    fn serve(&self, input: u64) -> impl Future<Output = Result<S::Output, S::Error>> + Send {
        self.0.serve(input)
    }
}

fn call<S: Service<u64, Output = u64>>(count: u64, service: S) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        for number in 0..count {
            black_box(black_box(&service).serve(black_box(number)).await.is_ok());
        }
    });
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Fact<const N: usize>(u64);

/// A scope that facts are recorded in.
trait Facts: Default {
    /// One for a message of a connection that this is the scope of.
    fn message(&self) -> Self;
    fn record<const N: usize>(&mut self, fact: Fact<N>);
    fn find<const N: usize>(&self) -> Option<&Fact<N>>;
}

impl Facts for Extensions {
    fn message(&self) -> Self {
        self.fork()
    }

    fn record<const N: usize>(&mut self, fact: Fact<N>) {
        self.insert(fact);
    }

    fn find<const N: usize>(&self) -> Option<&Fact<N>> {
        self.get()
    }
}

impl Facts for http::Extensions {
    fn message(&self) -> Self {
        self.clone()
    }

    fn record<const N: usize>(&mut self, fact: Fact<N>) {
        self.insert(fact);
    }

    fn find<const N: usize>(&self) -> Option<&Fact<N>> {
        self.get()
    }
}

/// Messages of a connection with four facts.
fn record_and_find<F: Facts>(count: u64) -> Result<(), BoxError> {
    let mut connection = F::default();
    connection.record(Fact::<0>(0));
    connection.record(Fact::<1>(1));
    connection.record(Fact::<2>(2));
    connection.record(Fact::<3>(3));
    for number in 0..count {
        let mut message = black_box(&connection).message();
        message.record(Fact::<4>(number));
        message.record(Fact::<5>(number));
        message.record(Fact::<6>(number));
        black_box(message.find::<0>().map(|fact| fact.0));
        black_box(message.find::<2>().map(|fact| fact.0));
        black_box(message.find::<4>().map(|fact| fact.0));
        black_box(message.find::<6>().map(|fact| fact.0));
        black_box(message.find::<7>().map(|fact| fact.0));
    }
    Ok(())
}
