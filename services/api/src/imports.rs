//! Who may bring a document in: few at once, and nobody two.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use domain::ids::UserId;

/// How many imports go on at once: each has a thread, and some conversations in memory.
const MOST: usize = 2;

/// The imports that go on in this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Imports(Arc<Mutex<HashSet<UserId>>>);

/// Held as long as an import goes on.
#[derive(Debug)]
pub(crate) struct Importing {
    all: Imports,
    user: UserId,
}

impl Imports {
    /// `None`: the user's last one goes on still, or too many others' do.
    pub(crate) fn begin(&self, user: UserId) -> Option<Importing> {
        let mut going = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let may = going.len() < MOST && going.insert(user);
        may.then(|| Importing { all: self.clone(), user })
    }
}

impl Drop for Importing {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.user);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn few_import_at_once_and_nobody_twice() {
        let (imports, user) = (Imports::default(), |number| UserId::from(Uuid::from_u128(number)));
        let first = imports.begin(user(1)).expect("a place");
        assert!(imports.begin(user(1)).is_none());
        let second = imports.begin(user(2)).expect("a place");
        assert!(imports.begin(user(3)).is_none());
        drop(first);
        assert!(imports.begin(user(2)).is_none());
        let third = imports.begin(user(3)).expect("a place");
        drop((second, third));
        assert!(imports.begin(user(1)).is_some());
    }
}
