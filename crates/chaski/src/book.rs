//! The pages of the guide, so that their examples are compiled and run as doctests of this crate.

#[doc = include_str!("../../../book/src/introduction.md")]
struct Introduction;

#[doc = include_str!("../../../book/src/architecture.md")]
struct Architecture;

#[doc = include_str!("../README.md")]
struct Readme;
