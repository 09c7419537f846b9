//! `Issue` → `TokenIssued`: a sign-in, and the access token that it was given.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::decide::{aggregate, events};
use crate::ids::{TokenId, UserId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenCommand {
    Issue { user: UserId, lifetime_seconds: u32 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenEvent {
    TokenIssued { user: UserId, expires_at: Timestamp },
}

events!(TokenEvent { TokenIssued = "1" });

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token was issued already")]
    AlreadyIssued,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Token {
    #[default]
    Unknown,
    Issued {
        user: UserId,
        expires_at: Timestamp,
    },
}

aggregate!(Token, "token", TokenId, TokenCommand, TokenEvent, TokenError);

impl Token {
    fn decide(&self, command: TokenCommand, now: Timestamp) -> Result<Vec<TokenEvent>, TokenError> {
        match (self, command) {
            (Self::Unknown, TokenCommand::Issue { user, lifetime_seconds }) => {
                Ok(vec![TokenEvent::TokenIssued { user, expires_at: now.plus_seconds(lifetime_seconds.into()) }])
            }
            (Self::Issued { .. }, TokenCommand::Issue { .. }) => Err(TokenError::AlreadyIssued),
        }
    }

    fn evolve(&mut self, event: TokenEvent) {
        match event {
            TokenEvent::TokenIssued { user, expires_at } => *self = Self::Issued { user, expires_at },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, given, id};

    fn issued_at(expires_at: Timestamp) -> TokenEvent {
        TokenEvent::TokenIssued { user: id(1), expires_at }
    }

    #[test]
    fn a_token_expires_its_lifetime_after_now() {
        for (lifetime_seconds, expires_at) in [
            (0, NOW),
            (900, Timestamp::from_micros(1_700_000_900_000_000)),
            (u32::MAX, Timestamp::from_micros(5_994_967_295_000_000)),
        ] {
            given::<Token>(vec![])
                .when(TokenCommand::Issue { user: id(1), lifetime_seconds })
                .then_expect_events(vec![issued_at(expires_at)]);
        }
    }

    #[test]
    fn a_token_is_issued_once() {
        for user in [id(1), id(2)] {
            given::<Token>(vec![issued_at(NOW.plus_seconds(900))])
                .when(TokenCommand::Issue { user, lifetime_seconds: 900 })
                .then_expect_error(TokenError::AlreadyIssued);
        }
    }

    #[test]
    fn an_expired_token_is_not_issued_again_either() {
        given::<Token>(vec![issued_at(Timestamp::from_micros(0))])
            .when(TokenCommand::Issue { user: id(1), lifetime_seconds: 900 })
            .then_expect_error(TokenError::AlreadyIssued);
    }
}
