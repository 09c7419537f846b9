//! What all ways of posting a message share: the request, the command, and the reply that is watched from then on.

use domain::chat::conversation::ConversationError;
use domain::chat::reply::Asked;
use domain::ids::{ConversationId, MessageId};
use domain::values::{Invalid, MaxTokens, MessageBody, Temperature};
use replies::{Choice, Watch};
use serde::Deserialize;
use store::Position;

use crate::app::App;
use crate::commands::{Answer, Answerer, PostError, PostMessage, RequestKey, Turn, TurnIds};
use crate::extract::{Caller, IdempotencyKey};
use crate::problem::{Fields, Problem, ReplyProblem};

/// The longest message on these paths.
const LONGEST_MESSAGE: usize = 4_096;

const LONGEST_NAME: usize = 200;

#[derive(Deserialize)]
pub(super) struct PostRequest {
    message: String,
    session_id: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    max_tokens: Option<i64>,
    temperature: Option<f64>,
}

/// What whoever posts waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Reply,
    Nothing,
}

/// A message that was posted, and its reply.
pub(super) struct Posted {
    pub(super) turn: Turn,
    pub(super) position: Option<Position>,
    /// For a reply that is awaited, or may be.
    pub(super) watch: Option<Watch>,
}

impl PostRequest {
    fn command(self, app: &App, caller: &Caller, key: IdempotencyKey) -> Result<PostMessage, Problem> {
        let mut fields = Fields::default();
        let body = fields.take("message", MessageBody::within(&self.message, LONGEST_MESSAGE));
        let max_tokens = self.max_tokens.map(|number| {
            let number = u32::try_from(number).map_err(|_| Invalid::OutOfRange(1, MaxTokens::MOST));
            fields.take("max_tokens", number.and_then(MaxTokens::try_from))
        });
        let temperature = self.temperature.map(|number| fields.take("temperature", Temperature::try_from(number)));
        for (field, name) in [("model", &self.model), ("provider", &self.provider)] {
            let is_short = name.as_ref().is_none_or(|name| name.len() <= LONGEST_NAME);
            fields.take(field, if is_short { Ok(()) } else { Err(Invalid::TooLong(LONGEST_NAME)) });
        }
        let body = body.filter(|_| fields.are_fine());
        let Some(body) = body else { return Err(fields.into_problem()) };
        let conversation = self.session_id.as_deref().map(parse_session).transpose()?;
        let answerer = match app.providers.choose(self.provider.as_deref(), self.model.as_deref())? {
            Choice::Rules => Answerer::Rules,
            Choice::Model(model) => {
                Answerer::Model(Asked { model, max_tokens: max_tokens.flatten(), temperature: temperature.flatten() })
            }
        };
        let key = key.0.map(|name| RequestKey::of(caller.user, &name));
        let ids = key.map_or_else(TurnIds::fresh, TurnIds::of);
        Ok(PostMessage { by: caller.user, conversation, body, answerer, ids })
    }

    /// Posts the message. From then on its reply is watched, and somebody is asked to make it.
    pub(super) async fn post(
        self,
        app: &App,
        caller: &Caller,
        key: IdempotencyKey,
        wanted: Wanted,
    ) -> Result<Posted, Problem> {
        let command = self.command(app, caller, key)?;
        // Before it is asked for: its end may come at once.
        let watch =
            (wanted == Wanted::Reply && command.answerer != Answerer::Rules).then(|| app.live.watch(command.ids.reply));
        let done = app.executor.execute(&command, caller.metadata.clone()).await?;
        app.own_writes.note(caller.user, done.position);
        let (turn, position) = (done.output, done.position);
        if turn.answer == Answer::Awaited {
            offer(app, turn.reply);
        }
        Ok(Posted { turn, position, watch })
    }
}

/// The repliers hear of it at once; should the bus be away, they hear of it from the log.
pub(super) fn offer(app: &App, reply: MessageId) {
    let bus = app.bus.clone();
    tokio::spawn(async move {
        if let Err(error) = bus.offer(reply).await {
            tracing::debug!(cause = store::in_full(&error), "a reply is offered later");
        }
    });
}

/// What is no id is nobody's session.
pub(super) fn parse_session(text: &str) -> Result<ConversationId, Problem> {
    text.parse().map_err(|_| Problem::NoSuchSession)
}

impl From<PostError> for Problem {
    fn from(error: PostError) -> Self {
        match error {
            PostError::KeyReused => ReplyProblem::KeyReused.into(),
            PostError::Conversation(ConversationError::NotFound) => Self::NoSuchSession,
            PostError::Conversation(ConversationError::AlreadyStarted) | PostError::Message(_) => {
                Self::Internal("a new stream was not new")
            }
            PostError::Store(error) => Self::Store(error),
        }
    }
}

impl From<replies::UnknownModel> for Problem {
    fn from(unknown: replies::UnknownModel) -> Self {
        ReplyProblem::UnknownModel(unknown.available).into()
    }
}
