//! Lanward's blocklists: list syntax, the compiled filter, the refresh plan.
//!
//! Pure: no clock, no files, no network, no threads. Texts and times come in as arguments.
//!
//! - [`parse_line`] and [`inspect`] read published lists in any of the usual syntaxes.
//! - [`Compiler`] makes one [`Table`] of all lists, for every policy.
//! - [`CompiledFilter`] puts the household's own rules and the policies' choice of lists around
//!   it; it is what the DNS pipeline asks, and what explains itself.
//! - [`refresh`] says which list to fetch when, and whether to accept what came.

#![forbid(unsafe_code)]

mod builtin;
mod compiler;
mod explain;
mod filter;
mod hash;
mod kinds;
mod list;
mod name;
pub mod refresh;
mod syntax;
mod table;
mod user;

pub use builtin::{BUILTIN_ID, BUILTIN_LIST};
pub use compiler::{CompileError, Compiler, MAX_RULES, Report, inspect};
pub use explain::{Explanation, Match};
pub use filter::{CompiledFilter, FilterParts, USER_RULES};
pub use hash::HashKey;
pub use list::{ListKind, MAX_LISTS};
pub use name::{NameError, WireName};
pub use syntax::{Action, Format, Line, Rule, Scope, Skip, parse_line};
pub use table::{FormatError, Table, TableList};
pub use user::{RulePolicies, UserRule};
