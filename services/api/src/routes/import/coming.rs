//! An import under way: what was parsed is written some steps at a time.

use std::collections::HashSet;

use domain::chat::conversation::Conversation;
use domain::ids::ConversationId;
use store::Position;

use super::Imported;
use crate::app::App;
use crate::commands::{Import, ImportStep, RequestKey};
use crate::extract::{Caller, IdempotencyKey};
use crate::portable::{Steps, Unfit};
use crate::problem::Problem;

/// How many steps, of how many bytes of text, are written at once: others write, too.
const STEPS: usize = 256;
const BYTES: usize = 1 << 20;

pub(super) struct Coming<'a> {
    app: &'a App,
    caller: &'a Caller,
    key: RequestKey,
    /// The key was given: it may be sent again.
    may_exist: bool,
    steps: Vec<ImportStep>,
    bytes: usize,
    known: HashSet<ConversationId>,
    position: Option<Position>,
    imported: Imported,
}

pub(super) enum Refused {
    /// The next conversation can't come in.
    Unfit(Unfit),
    Problem(Problem),
}

impl<'a> Coming<'a> {
    pub(super) fn new(app: &'a App, caller: &'a Caller, IdempotencyKey(name): IdempotencyKey) -> Self {
        let may_exist = name.is_some();
        let key = name.map_or_else(RequestKey::fresh, |name| RequestKey::of(caller.user, &format!("import {name}")));
        Self {
            app,
            caller,
            key,
            may_exist,
            steps: Vec::new(),
            bytes: 0,
            known: HashSet::new(),
            position: None,
            imported: Imported::default(),
        }
    }

    pub(super) const fn key(&self) -> RequestKey {
        self.key
    }

    pub(super) const fn position(&self) -> Option<Position> {
        self.position
    }

    pub(super) fn end(self) -> (Option<Position>, Imported) {
        (self.position, self.imported)
    }

    pub(super) async fn take(&mut self, session: Result<Steps, Unfit>) -> Result<(), Refused> {
        let Steps { conversation, messages, all } = match self.fits(session).await? {
            Ok(steps) => steps,
            Err(unfit) => {
                self.write().await?;
                return Err(Refused::Unfit(unfit));
            }
        };
        for step in all {
            if let ImportStep::Message { message, .. } = &step {
                self.bytes += message.words.text().len();
            }
            self.steps.push(step);
            if self.steps.len() >= STEPS || self.bytes >= BYTES {
                self.write().await?;
            }
        }
        self.imported.messages += messages;
        self.imported.sessions += 1;
        self.imported.session_ids.push(conversation);
        Ok(())
    }

    /// What is left to do for a conversation, or why it can't come in.
    async fn fits(&mut self, session: Result<Steps, Unfit>) -> Result<Result<Steps, Unfit>, Refused> {
        let Ok(session) = session else { return Ok(session) };
        if !self.known.insert(session.conversation) {
            return Ok(Err(Unfit::because("session_id is there twice")));
        }
        if !self.may_exist {
            return Ok(Ok(session));
        }
        let before = self.app.executor.look::<Conversation>(session.conversation).await;
        let before = before.map_err(|error| Refused::Problem(error.into()))?;
        Ok(session.after(&before))
    }

    pub(super) async fn write(&mut self) -> Result<(), Refused> {
        let steps = std::mem::take(&mut self.steps);
        self.bytes = 0;
        let command = Import { by: self.caller.user, steps, may_exist: self.may_exist };
        let done = self.app.executor.execute(&command, self.caller.metadata.clone()).await;
        self.position = done.map_err(|error| Refused::Problem(error.into()))?.position.or(self.position);
        Ok(())
    }

    /// What the client is told, where some conversations came in before.
    pub(super) fn problem(&self, refused: Refused) -> Problem {
        let stored = self.imported.sessions;
        let with = |what: String| Problem::invalid("sessions", format!("{what}; {stored} came in before it"));
        match refused {
            Refused::Unfit(Unfit { message: Some(number), why }) => {
                with(format!("in session {}, message {number}: {why}", stored + 1))
            }
            Refused::Unfit(Unfit { message: None, why }) => with(format!("in session {}: {why}", stored + 1)),
            Refused::Problem(Problem::BadJson) if stored > 0 => with("it is no valid JSON from there on".to_owned()),
            Refused::Problem(Problem::Invalid(errors)) if stored > 0 => {
                let what: Vec<_> = errors.into_iter().map(|error| error.message).collect();
                with(what.join(", "))
            }
            Refused::Problem(problem) => problem,
        }
    }
}
