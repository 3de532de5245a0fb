//! The code that proves, on the first visit, that whoever sits at the browser also sees the host.

#![allow(
    clippy::disallowed_methods,
    reason = "a shell: codes are drawn from the system and expire by its clock"
)]

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

/// Crockford's base 32: no I, L, O or U, so nothing can be misread.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters in a code: 40 bits.
const LENGTH: usize = 8;
/// How long a code is good for.
const LIFE: Duration = Duration::from_secs(30 * 60);
/// Wrong tries before a new code is drawn.
const TRIES: u32 = 5;

/// Draws claim codes and checks them. One code is good at a time: for 30 minutes, for one use,
/// and for five wrong tries; then the next one is drawn and announced.
pub struct ClaimCodes {
    live: Mutex<Option<Live>>,
    announce: Box<dyn Fn(&str) + Send + Sync>,
}

struct Live {
    code: [u8; LENGTH],
    drawn: Instant,
    wrong: u32,
}

/// Why a code was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimRefusal {
    /// It is not the code; so many tries are left before a new one is drawn.
    Wrong { tries_left: u32 },
    /// It was not the code, or is the code of before: a new one has been announced.
    Renewed,
}

impl ClaimCodes {
    /// `announce` is called with every code drawn, written like `7K2M-9QXT`: print it where only
    /// the owner of the host looks (terminal, journal, a file of mode 0600).
    pub fn new(announce: impl Fn(&str) + Send + Sync + 'static) -> ClaimCodes {
        ClaimCodes { live: Mutex::new(None), announce: Box::new(announce) }
    }

    /// The code that is good now, drawn and announced if there is none.
    pub fn current(&self) -> String {
        self.current_at(Instant::now())
    }

    /// Takes the code out of use if `tried` is it.
    pub(crate) fn redeem(&self, tried: &str) -> Result<(), ClaimRefusal> {
        self.redeem_at(Instant::now(), tried)
    }

    fn current_at(&self, now: Instant) -> String {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        match &*live {
            Some(l) if now.duration_since(l.drawn) < LIFE => spell(&l.code),
            _ => self.draw(&mut live, now),
        }
    }

    fn redeem_at(&self, now: Instant, tried: &str) -> Result<(), ClaimRefusal> {
        let mut guard = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(live) = guard.as_mut().filter(|l| now.duration_since(l.drawn) < LIFE) else {
            self.draw(&mut guard, now);
            return Err(ClaimRefusal::Renewed);
        };
        if normalise(tried).is_some_and(|t| bool::from(t.ct_eq(&live.code))) {
            *guard = None;
            return Ok(());
        }
        live.wrong += 1;
        if live.wrong < TRIES {
            return Err(ClaimRefusal::Wrong { tries_left: TRIES - live.wrong });
        }
        self.draw(&mut guard, now);
        Err(ClaimRefusal::Renewed)
    }

    fn draw(&self, live: &mut Option<Live>, now: Instant) -> String {
        let mut code = [0; LENGTH];
        getrandom::fill(&mut code).expect("the system has random bytes");
        for byte in &mut code {
            *byte = ALPHABET[usize::from(*byte & 31)];
        }
        *live = Some(Live { code, drawn: now, wrong: 0 });
        let spelled = spell(&code);
        (self.announce)(&spelled);
        spelled
    }
}

/// `7K2M-9QXT`.
fn spell(code: &[u8; LENGTH]) -> String {
    let text: String = code.iter().map(|&b| char::from(b)).collect();
    let (left, right) = text.split_at(LENGTH / 2);
    format!("{left}-{right}")
}

/// What somebody typed, as the code would be: case, hyphens and spaces do not matter, and the
/// letters Crockford left out stand for the digits they look like.
fn normalise(typed: &str) -> Option<[u8; LENGTH]> {
    let mut code = [0; LENGTH];
    let mut len = 0;
    for c in typed.bytes().filter(|c| !matches!(c, b'-' | b' ' | b'\t')) {
        *code.get_mut(len)? = match c.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        };
        len += 1;
    }
    (len == LENGTH).then_some(code)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn codes() -> (ClaimCodes, Arc<Mutex<Vec<String>>>) {
        let said = Arc::new(Mutex::new(Vec::new()));
        let to = said.clone();
        (ClaimCodes::new(move |code| to.lock().unwrap().push(code.to_owned())), said)
    }

    #[test]
    fn a_code_is_good_once_and_however_it_is_typed() {
        let (codes, said) = codes();
        let t0 = Instant::now();
        let code = codes.current_at(t0);
        assert_eq!(code.len(), 9);
        assert_eq!(codes.current_at(t0), code, "asking again draws no new one");
        let typed = format!(" {} ", code.replace('-', " ").to_lowercase().replace('0', "o"));
        assert_eq!(codes.redeem_at(t0, &typed), Ok(()));
        assert_eq!(codes.redeem_at(t0, &code), Err(ClaimRefusal::Renewed));
        assert_eq!(said.lock().unwrap().len(), 2);
    }

    #[test]
    fn the_fifth_wrong_try_draws_a_new_code() {
        let (codes, said) = codes();
        let t0 = Instant::now();
        let first = codes.current_at(t0);
        for left in [4, 3, 2, 1] {
            assert_eq!(codes.redeem_at(t0, "WRONG"), Err(ClaimRefusal::Wrong { tries_left: left }));
        }
        assert_eq!(codes.redeem_at(t0, "WRONG"), Err(ClaimRefusal::Renewed));
        assert_ne!(codes.redeem_at(t0, &first), Ok(()), "the old code is dead");
        let latest = said.lock().unwrap().last().cloned().unwrap();
        assert_eq!(codes.redeem_at(t0, &latest), Ok(()));
    }

    #[test]
    fn a_code_dies_after_half_an_hour() {
        let (codes, _) = codes();
        let t0 = Instant::now();
        let first = codes.current_at(t0);
        assert_eq!(codes.redeem_at(t0 + LIFE, &first), Err(ClaimRefusal::Renewed));
        assert_ne!(codes.current_at(t0 + LIFE), first);
    }
}
