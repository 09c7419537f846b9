//! Random texts: whatever can be typed, and what is surely valid.

use std::fmt::Debug;

use domain::values::{ConversationName, DisplayName, Email, EmbeddingModel, FileName, KeyName, MessageBody, Username};
use proptest::prelude::*;

/// Anything, controls and NUL included; often with space around it.
pub fn typed() -> impl Strategy<Value = String> {
    prop_oneof!["(?s).{0,60}", r"\s{0,3}\PC{0,110}\s{0,3}", r"\s{0,3}[a-zA-Z0-9.@-]{0,60}\s{0,3}", padded_email()]
}

fn padded_email() -> impl Strategy<Value = String> {
    r"\s{0,2}[a-zA-Zé0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[A-Za-z0-9]{1,8}){0,2}@([a-zA-Z0-9]{1,8}(-[a-z0-9]{1,4})?\.){1,3}[a-zA-Z]{1,6}\s{0,2}"
}

fn valid<V: TryFrom<String> + Debug>(texts: impl Strategy<Value = String>) -> impl Strategy<Value = V> {
    texts.prop_filter_map("not valid", |text| V::try_from(text).ok())
}

pub fn username() -> impl Strategy<Value = Username> {
    valid(r"\PC{1,50}")
}

/// No filter: each of these is an email.
pub fn email() -> impl Strategy<Value = Email> {
    padded_email().prop_map(|text| text.clone().try_into().unwrap_or_else(|error| panic!("{text:?} {error}")))
}

pub fn display_name() -> impl Strategy<Value = DisplayName> {
    valid(r"\PC{1,100}")
}

pub fn key_name() -> impl Strategy<Value = KeyName> {
    valid(r"\PC{1,100}")
}

pub fn conversation_name() -> impl Strategy<Value = ConversationName> {
    valid(r"\PC{1,200}")
}

pub fn embedding_model() -> impl Strategy<Value = EmbeddingModel> {
    valid(r"\PC{1,100}")
}

pub fn file_name() -> impl Strategy<Value = FileName> {
    valid(r"[^/\\]{1,60}")
}

pub fn body() -> impl Strategy<Value = MessageBody> {
    valid("(?s).{1,80}")
}
