//! The committed inputs, as ordinary tests.

#![cfg(test)]

mod corpus;
