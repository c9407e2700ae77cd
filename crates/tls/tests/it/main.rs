//! Against captured bytes and foreign programs. The modules say that they are tests, so that the lints for tests hold in
//! their helpers too.

#[cfg(test)]
mod hello;
