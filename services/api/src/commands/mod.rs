//! Commands over several streams: one file for each, free of HTTP.

mod api_keys;
mod attachments;
mod branch;
mod change_user;
mod clear_history;
mod conversations;
mod import;
mod messages;
mod note;
mod post_message;
mod refresh;
mod register_user;
mod reply;
mod room;
mod sign_in;
mod sign_out;

pub(crate) use api_keys::{CreateKey, KeyChange, RevokeKey, RotateKey};
pub(crate) use attachments::{AddAttachment, Added, AttachError, RemoveAttachment};
pub(crate) use branch::{BranchError, ChooseBranch, IfLeaf};
pub(crate) use change_user::{ChangeError, ChangePassword, ChangeProfile, ChangeUser, Proof, Standing};
pub(crate) use clear_history::ClearHistory;
pub(crate) use conversations::{ChangeConversation, ConversationsError, StartConversation};
pub(crate) use import::{Import, ImportStep};
pub(crate) use messages::{ChangeMessage, ChangeMessageError};
pub(crate) use note::{Note, NoteOnce};
pub(crate) use post_message::{Answer, Answerer, Earlier, PostError, PostMessage, RequestKey, Turn, TurnIds};
pub(crate) use refresh::{Refresh, RefreshError, Refreshed};
pub(crate) use register_user::{RegisterError, RegisterUser, Registered};
pub(crate) use reply::{AskAgain, AskAgainError, StopReply};
pub(crate) use room::{Room, home_of};
pub(crate) use sign_in::{SignIn, SignInError, SignedIn};
pub(crate) use sign_out::{EndSignIn, SignOut, SignedOut, owner_of};

use domain::Metadata;
use domain::ids::{ClaimId, ClaimKind, UserId};
use domain::token::family::Origin;
use domain::user::{Claim, User};
use store::{Executor, StoreError};

/// The claim that a typed name can have: an email serves as a user name everywhere.
pub(crate) fn claim_of(typed: &str) -> Option<ClaimId> {
    let text = typed.to_owned();
    if typed.contains('@') {
        let email = domain::values::Email::try_from(text).ok()?;
        Some(ClaimId::of(ClaimKind::Email, &email.key()))
    } else {
        let username = domain::values::Username::try_from(text).ok()?;
        Some(ClaimId::of(ClaimKind::Username, &username.key()))
    }
}

/// The user whom somebody names by an id, a user name or an email.
pub async fn find_user(executor: &Executor, named: &str) -> Result<Option<UserId>, StoreError> {
    if let Ok(id) = named.parse() {
        return Ok(executor.look::<User>(id).await?.account().map(|_| id));
    }
    let Some(claim) = claim_of(named) else { return Ok(None) };
    Ok(executor.look::<Claim>(claim).await?.holder())
}

/// From where a request came, as a sign-in remembers it.
pub(crate) fn origin(metadata: &Metadata) -> Origin {
    Origin { ip: metadata.ip.clone().unwrap_or_default(), user_agent: metadata.user_agent.clone().unwrap_or_default() }
}
