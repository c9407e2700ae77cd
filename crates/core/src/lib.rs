//! The contract every chaski layer stands on.
