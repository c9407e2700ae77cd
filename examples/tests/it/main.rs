//! Every example, run as a user runs it. The module says that it is a test, so that the lints for tests hold in its
//! helpers too.

#[cfg(test)]
mod run;
