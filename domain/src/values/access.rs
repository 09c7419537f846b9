//! What somebody may do: a person by their role, a key for programs by its scopes.

use serde::{Deserialize, Serialize};

use crate::words;

words! {
    /// What a person is trusted with beyond their own things.
    Role {
        /// Reads everybody's audit log.
        Auditor = "auditor",
        /// Manages users; reads what an auditor reads.
        Admin = "admin",
    }
}

words! {
    /// What a key may do in its user's name.
    Scope {
        ChatRead = "chat:read",
        ChatWrite = "chat:write",
        /// Profile, password, sign-ins.
        Account = "account",
        /// Making and revoking keys.
        Keys = "keys",
        /// Reading the audit log, as far as its user may.
        Audit = "audit",
        /// Managing users, if its user may.
        Admin = "admin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written_in_json_too() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(*role));
            assert_eq!(serde_json::to_string(role).unwrap(), format!("\"{role}\""));
        }
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
            assert_eq!(serde_json::to_string(scope).unwrap(), format!("\"{scope}\""));
        }
        for word in ["", "Admin", "root", "chat", "chat:*"] {
            assert!(word.parse::<Role>().is_err() && word.parse::<Scope>().is_err(), "{word}");
        }
    }
}
