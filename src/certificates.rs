//! The certificates that encrypted DNS shows: from files of the user's, or issued by the household's
//! own authority.
//!
//! Nothing here has a clock or a socket; `control::certificates` keeps one of these in force.

mod authority;
mod files;

pub use authority::{Authority, AuthorityError, Leaf, Subject};
pub use files::{FileError, Files, Stamp};

/// Seconds since 1970, by the wall clock.
pub type UnixSecs = u64;
