//! Who may in: the claim code, the owner's password, sessions, and the delays between them.

pub(crate) mod claim;
pub(crate) mod delays;
pub(crate) mod password;
pub(crate) mod sessions;

pub use claim::ClaimCodes;
pub(crate) use claim::ClaimRefusal;
pub(crate) use delays::Delays;
pub(crate) use password::Passwords;
pub(crate) use sessions::Flashes;
pub use sessions::SessionId;
