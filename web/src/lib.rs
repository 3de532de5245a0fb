//! Lanward's pages and JSON API.
//!
//! The daemon gives a [`Backend`]; what it shows and may be asked for are the types in [`view`].
//! [`router`] makes the whole of it, [`serve`] serves it:
//!
//! - `guard`: every request's host and origin are judged, every answer gets its headers;
//! - `routes`: the one table of all routes, each with who may use it;
//! - `auth`: claim code, password, sessions, delays;
//! - `pages`: server-rendered HTML, complete without JavaScript; `api`: the same as JSON.
//!
//! Text of clients, list publishers and people goes into HTML only through askama's escaping.
#![forbid(unsafe_code)]

mod api;
mod app;
mod assets;
mod auth;
pub mod backend;
mod csv;
mod flash;
mod form;
mod format;
mod guard;
mod html;
mod lease_table;
mod pages;
mod query_address;
mod refusal;
mod routes;
mod serve;
pub mod view;
mod visit;

pub use app::AuthConfig;
pub use auth::password::hash_password;
pub use auth::{ClaimCodes, SessionId};
pub use backend::{Answer, Backend};
pub use routes::router;
pub use serve::serve;

// The household that the example shows is the one the tests are done with.
#[cfg(test)]
extern crate self as lanward_web;
#[cfg(test)]
#[path = "../examples/fixture/household/mod.rs"]
mod household;
#[cfg(test)]
mod tests;
