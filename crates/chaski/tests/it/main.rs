//! What a user of the facade meets.

#[cfg(test)]
mod messages;
