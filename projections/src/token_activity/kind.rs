//! What an audit row can say: the words that clients filter by.

use domain::words;
use serde::{Deserialize, Serialize};

words! {
    /// What happened.
    Kind {
        Registered = "registered",
        ProfileChanged = "profile_changed",
        PasswordChanged = "password_changed",
        PasswordRehashed = "password_rehashed",
        RoleGranted = "role_granted",
        RoleRevoked = "role_revoked",
        UserDisabled = "user_disabled",
        UserEnabled = "user_enabled",
        SignInsEnded = "sign_ins_ended",
        SignIn = "sign_in",
        SignInFailed = "sign_in_failed",
        TokenRotated = "token_rotated",
        TokenAnomaly = "token_anomaly",
        TokenReused = "token_reused",
        TokenRefused = "token_refused",
        TokenRevoked = "token_revoked",
        UnknownToken = "unknown_token",
        KeyCreated = "key_created",
        KeyRotated = "key_rotated",
        KeyRevoked = "key_revoked",
        SigningKeyRotated = "signing_key_rotated",
        AuditRead = "audit_read",
        DataExported = "data_exported",
        LimitReached = "limit_reached",
    }
}

words! {
    /// How it ended.
    Outcome {
        Ok = "ok",
        Refused = "refused",
        /// Nothing was refused, but somebody should look.
        Suspicious = "suspicious",
    }
}

impl Kind {
    /// Follows from the kind alone.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::SignInFailed | Self::TokenReused | Self::TokenRefused | Self::UnknownToken | Self::LimitReached => {
                Outcome::Refused
            }
            Self::TokenAnomaly => Outcome::Suspicious,
            Self::Registered
            | Self::ProfileChanged
            | Self::PasswordChanged
            | Self::PasswordRehashed
            | Self::RoleGranted
            | Self::RoleRevoked
            | Self::UserDisabled
            | Self::UserEnabled
            | Self::SignInsEnded
            | Self::SignIn
            | Self::TokenRotated
            | Self::TokenRevoked
            | Self::KeyCreated
            | Self::KeyRotated
            | Self::KeyRevoked
            | Self::SigningKeyRotated
            | Self::AuditRead
            | Self::DataExported => Outcome::Ok,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(*outcome));
        }
        for word in ["", "Sign_in", "signin", "token"] {
            assert!(word.parse::<Kind>().is_err() && word.parse::<Outcome>().is_err(), "{word}");
        }
    }
}
