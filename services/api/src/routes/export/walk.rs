//! Goes through conversations and their messages, and gives them out a page at a time.

use std::collections::HashMap;
use std::vec;

use domain::Timestamp;
use domain::ids::{ConversationId, MessageId, UserId};
use projections::history::{self, Attachment, Cursor, HistoryQuery};
use store::{Position, ReadModel, StoreError};

use super::form::Form;

/// How much is given out at once, in bytes, and how many messages are read at once.
const STRIDE: usize = 64 << 10;
const MESSAGES: u32 = 32;

pub(super) struct Walk {
    model: ReadModel,
    owner: UserId,
    form: Form,
    left: vec::IntoIter<ConversationId>,
    at: At,
}

enum At {
    Begin(Timestamp),
    /// Between two conversations; whether there was one before.
    Between(bool),
    Within(Open),
    End,
}

/// A conversation that is being written.
struct Open {
    id: ConversationId,
    after: Position,
    files: HashMap<MessageId, Vec<Attachment>>,
    is_first: bool,
}

impl Walk {
    pub(super) fn new(model: ReadModel, owner: UserId, form: Form, all: Vec<ConversationId>, now: Timestamp) -> Self {
        Self { model, owner, form, left: all.into_iter(), at: At::Begin(now) }
    }

    /// The next page, and what comes after it.
    pub(super) async fn next(mut self) -> Result<Option<(String, Self)>, StoreError> {
        let mut page = String::new();
        while page.len() < STRIDE && !matches!(self.at, At::End) {
            self.step(&mut page).await?;
        }
        Ok((!page.is_empty()).then_some((page, self)))
    }

    async fn step(&mut self, page: &mut String) -> Result<(), StoreError> {
        self.at = match std::mem::replace(&mut self.at, At::End) {
            At::Begin(now) => {
                self.form.begin(page, now);
                At::Between(false)
            }
            At::Between(is_later) => {
                if let Some(id) = self.left.next() {
                    self.open(page, id, is_later).await?
                } else {
                    self.form.end(page);
                    At::End
                }
            }
            At::Within(open) => self.messages(page, open).await?,
            At::End => At::End,
        };
        Ok(())
    }

    async fn open(&self, page: &mut String, id: ConversationId, is_later: bool) -> Result<At, StoreError> {
        // It may have gone since the list was made.
        let Some(kept) = history::conversation(self.model.db(), self.owner, id).await? else {
            return Ok(At::Between(is_later));
        };
        self.form.open(page, kept, is_later)?;
        let mut files: HashMap<_, Vec<_>> = HashMap::new();
        for file in history::attachments_in(self.model.db(), id).await? {
            files.entry(file.message).or_default().push(file);
        }
        Ok(At::Within(Open { id, after: Position::START, files, is_first: true }))
    }

    async fn messages(&self, page: &mut String, mut open: Open) -> Result<At, StoreError> {
        let (scope, cursor) = (self.form.scope(open.id), Cursor::After(open.after));
        let query = HistoryQuery { owner: self.owner, scope, cursor, skip: 0, limit: MESSAGES };
        let some = history::stretch(self.model.db(), query).await?;
        let Some(last) = some.last() else {
            self.form.close(page);
            return Ok(At::Between(true));
        };
        open.after = last.position;
        let is_last = some.len() < usize::try_from(MESSAGES).unwrap_or(0);
        for message in some {
            let files = open.files.remove(&message.id).unwrap_or_default();
            self.form.message(page, message, files, std::mem::take(&mut open.is_first))?;
        }
        if is_last {
            self.form.close(page);
            return Ok(At::Between(true));
        }
        Ok(At::Within(open))
    }
}
