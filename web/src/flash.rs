//! The message shown once after an edit, with what would undo it.

use data_encoding::BASE64URL_NOPAD;

use crate::view::{NewList, NewReservation, Severity};

/// Left in the session by an edit, shown by the next page.
pub(crate) struct Flash {
    severity: Severity,
    text: String,
    undo: Option<Undo>,
    shown: bool,
}

/// What would undo an edit, and the token that asks for it.
struct Undo {
    token: String,
    deed: Deed,
}

/// The opposite of an edit.
#[derive(Clone)]
pub(crate) enum Deed {
    Reserve(NewReservation),
    Unreserve(String),
    AddList(NewList),
    RemoveList(String),
    SetList(String, bool),
    /// A change of the settings, by its id.
    Undo(String),
}

/// What a page shows of a flash.
pub(crate) struct Shown {
    severity: Severity,
    pub(crate) text: String,
    pub(crate) undo: Option<String>,
}

impl Shown {
    pub(crate) fn tone(&self) -> &'static str {
        crate::html::tone(self.severity)
    }

    pub(crate) fn icon(&self) -> crate::html::Icon {
        crate::html::tone_icon(self.severity)
    }
}

impl Flash {
    pub(crate) fn new(severity: Severity, text: impl Into<String>) -> Flash {
        Flash { severity, text: text.into(), undo: None, shown: false }
    }

    pub(crate) fn undo(mut self, deed: Deed) -> Flash {
        let mut token = [0; 12];
        crate::auth::sessions::random(&mut token);
        self.undo = Some(Undo { token: BASE64URL_NOPAD.encode(&token), deed });
        self
    }

    /// The message, the first time.
    pub(crate) fn show(flash: &mut Option<Flash>) -> Option<Shown> {
        let flash = flash.as_mut().filter(|f| !f.shown)?;
        flash.shown = true;
        Some(Shown {
            severity: flash.severity,
            text: flash.text.clone(),
            undo: flash.undo.as_ref().map(|u| u.token.clone()),
        })
    }

    /// The deed that `token` asks for, once.
    pub(crate) fn take_undo(flash: &mut Option<Flash>, token: &str) -> Option<Deed> {
        let matches = flash.as_ref()?.undo.as_ref().is_some_and(|u| u.token == token);
        if matches { flash.take()?.undo.map(|u| u.deed) } else { None }
    }
}
