//! `sign-in ─▶ ticket ─▶ socket`: a browser can send no header when it opens a socket, and an access token in an address
//! might be kept on the way. A ticket is worth nothing a moment later.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::App;
use crate::caller::{Caller, Proof};
use crate::problem::Problem;
use crate::tokens::{digest_of, random};

/// How long a ticket may wait to be used.
pub(crate) const LIFETIME_SECONDS: u32 = 30;
/// 32 bytes in base64.
const LENGTH: usize = 43;

/// A new ticket for whoever asks: it proves what they have shown themselves, no more and no longer.
pub(crate) async fn issue(app: &App, caller: &Caller) -> Result<String, Problem> {
    let bytes = random().ok_or(Problem::Internal("the system gives no random bytes"))?;
    let (ticket, now) = (URL_SAFE_NO_PAD.encode(bytes), app.clock().now());
    let proof = serde_json::to_string(caller.proof()).map_err(|_| Problem::Internal("a proof can't be written"))?;
    let ends = now.plus_seconds(LIFETIME_SECONDS.into());
    store::tickets::keep(app.log.db(), digest_of(&ticket), &proof, ends, now).await?;
    Ok(ticket)
}

/// What was shown for a ticket that nobody has used.
pub(crate) async fn redeem(app: &App, ticket: &str) -> Result<Proof, Problem> {
    if ticket.len() != LENGTH {
        return Err(Problem::BadToken);
    }
    let proof = store::tickets::take(app.log.db(), digest_of(ticket), app.clock().now()).await?;
    serde_json::from_str(&proof.ok_or(Problem::BadToken)?).map_err(|_| Problem::Internal("a proof can't be read"))
}
