//! Commands over several streams: one file for each, free of HTTP.

mod clear_history;
mod post_message;
mod register_user;
mod sign_in;

pub(crate) use clear_history::ClearHistory;
pub(crate) use post_message::{PostError, PostMessage, Turn};
pub(crate) use register_user::{RegisterError, RegisterUser};
pub(crate) use sign_in::{SignIn, SignInError, SignedIn};
