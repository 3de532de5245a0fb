//! Rules made from a row of the history.

use axum::Extension;
use axum::extract::State;

use super::{Answered, done, failed, see};
use crate::app::Shared;
use crate::flash::Deed;
use crate::form::Sent;
use crate::view::NewRule;
use crate::visit::{Visit, safe_path};

/// `POST /queries/rule`
pub(crate) async fn make_rule(
    State(app): State<Shared>,
    Extension(visit): Extension<Visit>,
    sent: Sent,
) -> Answered {
    let back = see(safe_path(sent.text("back")));
    let mut words = sent.text("rule").splitn(3, ' ');
    let (kind, policy, name) = (words.next(), words.next(), words.next());
    let (Some(kind @ ("allow" | "deny")), Some(policy), Some(name)) = (kind, policy, name) else {
        return Ok(back);
    };
    let (allow, name, policy) = (kind == "allow", name.to_owned(), policy.to_owned());
    let new = NewRule { allow, name: name.clone(), policy: policy.clone() };
    match app.backend.make_rule(new).await {
        Ok(made) => {
            let deed = if allow { "allowed" } else { "blocked" };
            let what = format!("{name} and names below it are {deed} for the policy {policy}.");
            done(&app, visit.session, &what, &made.in_force, made.change.map(Deed::Undo));
        }
        Err(error) => failed(&app, &visit, &error),
    }
    Ok(back)
}
