//! Lanward's pages and JSON API.
//!
//! The daemon gives a [`Backend`]; what it shows and may be asked for are the types in [`view`].

pub mod backend;
pub mod view;

pub use backend::{Answer, Backend};
