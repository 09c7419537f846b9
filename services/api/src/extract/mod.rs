//! What handlers ask of a request; what comes out is parsed and authorised.

mod body;
mod caller;
mod context;
mod form;
mod parameters;
mod request_key;

pub(crate) use crate::caller::Caller;
pub(crate) use body::{Body, is_json, unfit};
pub(crate) use context::Context;
pub(crate) use form::{Form, FormOrJson};
pub(crate) use parameters::Parameters;
pub(crate) use request_key::IdempotencyKey;
