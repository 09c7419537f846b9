//! What somebody may do: a person by their role, a key for programs by its scopes.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::values::Invalid;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|it| it.as_str() == word).ok_or($crate::values::Invalid::NotOneOf)
            }
        }
    };
}

pub(crate) use words;

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
