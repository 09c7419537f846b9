//! What all ways of posting a message share: the request, the command, and the reply that is watched from then on.

use domain::chat::conversation::ConversationError;
use domain::chat::place::Speaker;
use domain::chat::reply::Asked;
use domain::ids::{ConversationId, MessageId};
use domain::values::{Invalid, MaxTokens, MessageBody, Temperature};
use replies::{Choice, Watch};
use serde::Deserialize;
use store::{Done, Position};
use tracing::Instrument;

use super::branching::{self, Place};
use crate::app::App;
use crate::commands::{Answer, Answerer, Earlier, PostError, PostMessage, RequestKey, Room, Turn, TurnIds};
use crate::extract::{Caller, IdempotencyKey};
use crate::limits::go_on;
use crate::problem::{Fields, Problem, ReplyProblem, SessionProblem};
use crate::reckoning;

/// The longest message on these paths.
const LONGEST_MESSAGE: usize = 4_096;

const LONGEST_NAME: usize = 200;

/// The field that says how long a reply may be, on most paths.
pub(crate) const MAX_TOKENS: &str = "max_tokens";

/// What the path says of a post, and no client.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The field that holds the message.
    pub(crate) field: &'static str,
    /// The one that says how long the reply may be.
    pub(crate) most_tokens: &'static str,
    pub(crate) longest: usize,
    /// Where it goes that is for no conversation.
    pub(crate) room: Room,
}

impl Default for Terms {
    fn default() -> Self {
        Self { field: "message", most_tokens: MAX_TOKENS, longest: LONGEST_MESSAGE, room: Room::New }
    }
}

#[derive(Default, Deserialize)]
pub(crate) struct PostRequest {
    pub(crate) message: String,
    #[serde(skip)]
    pub(crate) terms: Terms,
    /// What was said elsewhere, for a conversation that this begins.
    #[serde(skip)]
    pub(crate) earlier: Vec<Earlier>,
    pub(crate) session_id: Option<String>,
    /// What the message is to follow, where that is not the conversation's latest.
    pub(crate) parent_id: Option<String>,
    /// Of whose place it takes another branch.
    pub(crate) edit_of: Option<String>,
    /// Where the client believes the conversation to be.
    pub(crate) if_leaf: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) max_tokens: Option<i64>,
    pub(crate) temperature: Option<f64>,
}

/// Who is to answer, and how.
pub(super) struct ModelRequest {
    pub(super) provider: Option<String>,
    pub(super) model: Option<String>,
    pub(super) max_tokens: Option<i64>,
    pub(super) temperature: Option<f64>,
}

/// The same, once it was found to be possible.
pub(super) struct WantedModel {
    provider: Option<String>,
    model: Option<String>,
    max_tokens: Option<MaxTokens>,
    temperature: Option<Temperature>,
}

impl ModelRequest {
    pub(super) fn check(self, most_tokens: &'static str, fields: &mut Fields) -> Option<WantedModel> {
        let max_tokens = self.max_tokens.map(|number| {
            let number = u32::try_from(number).map_err(|_| Invalid::OutOfRange(1, MaxTokens::MOST));
            fields.take(most_tokens, number.and_then(MaxTokens::try_from))
        });
        let temperature = self.temperature.map(|number| fields.take("temperature", Temperature::try_from(number)));
        for (field, name) in [("model", &self.model), ("provider", &self.provider)] {
            let is_short = name.as_ref().is_none_or(|name| name.len() <= LONGEST_NAME);
            fields.take(field, if is_short { Ok(()) } else { Err(Invalid::TooLong(LONGEST_NAME)) });
        }
        let (max_tokens, temperature) = (max_tokens.flatten(), temperature.flatten());
        let Self { provider, model, .. } = self;
        fields.are_fine().then_some(WantedModel { provider, model, max_tokens, temperature })
    }
}

impl WantedModel {
    pub(super) fn choose(self, app: &App) -> Result<Answerer, Problem> {
        let Self { provider, model, max_tokens, temperature } = self;
        Ok(match app.providers.choose(provider.as_deref(), model.as_deref())? {
            Choice::Rules => Answerer::Rules,
            Choice::Model(model) => Answerer::Model(Asked { model, max_tokens, temperature }),
        })
    }
}

/// What whoever posts waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Reply,
    Nothing,
}

/// A message that was posted, and its reply.
pub(crate) struct Posted {
    pub(crate) turn: Turn,
    pub(crate) position: Option<Position>,
    /// For a reply that is awaited, or may be.
    pub(super) watch: Option<Watch>,
}

impl PostRequest {
    /// Another branch beside a message.
    pub(super) fn edit(self, message: String) -> Self {
        Self { edit_of: Some(message), ..self }
    }

    async fn command(self, app: &App, caller: &Caller, key: IdempotencyKey) -> Result<PostMessage, Problem> {
        let mut fields = Fields::default();
        let body = fields.take(self.terms.field, MessageBody::within(&self.message, self.terms.longest));
        let Self { provider, model, max_tokens, temperature, .. } = self;
        let wanted =
            ModelRequest { provider, model, max_tokens, temperature }.check(self.terms.most_tokens, &mut fields);
        let (Some(body), Some(wanted), true) = (body, wanted, fields.are_fine()) else {
            return Err(fields.into_problem());
        };
        let session = self.session_id.as_deref().map(parse_session).transpose()?;
        let if_leaf = self.if_leaf.as_deref().map(|leaf| branching::if_leaf(app, leaf)).transpose()?;
        let key = key.0.map(|name| RequestKey::of(caller.user, &name));
        let ids = key.map_or_else(TurnIds::fresh, TurnIds::of);
        let before = key.map(|_| ids.message);
        let asked = Place { parent: self.parent_id.as_deref(), edit_of: self.edit_of.as_deref(), session, before };
        let (conversation, after) = asked.find(app, caller.user, if_leaf.as_ref()).await?;
        let room = conversation.map_or(self.terms.room, Room::In);
        let answerer = wanted.choose(app)?;
        let (by, earlier, speaker) = (caller.user, self.earlier, Speaker::User);
        Ok(PostMessage { by, room, after, if_leaf, earlier, speaker, body, answerer, ids })
    }

    /// Posts the message. From then on its reply is watched, and somebody is asked to make it.
    pub(crate) async fn post(
        self,
        app: &App,
        caller: &Caller,
        key: IdempotencyKey,
        wanted: Wanted,
    ) -> Result<Posted, Problem> {
        let command = self.command(app, caller, key).await?;
        // Before it is asked for: its end may come at once.
        let watch =
            (wanted == Wanted::Reply && command.answerer != Answerer::Rules).then(|| app.live.watch(command.ids.reply));
        let posting = execute(app.clone(), caller.clone(), command);
        let Done { output: turn, position } =
            go_on(posting).await.unwrap_or(Err(Problem::Internal("a post panicked")))?;
        Ok(Posted { turn, position, watch })
    }
}

/// Whoever goes meanwhile leaves nothing half done.
async fn execute(app: App, caller: Caller, command: PostMessage) -> Result<Done<Turn>, Problem> {
    let asks = reckoning::of_post(&app, &command).await?;
    let done = app.execute_turn(&caller, &command, asks, command.ids.before()).await?;
    app.own_writes.note(caller.user, done.position);
    match &done.output.answer {
        Answer::Awaited => offer(&app, done.output.reply),
        Answer::Given { .. } => replies::metrics::given(&app.providers),
        Answer::Nothing | Answer::Repeated => {}
    }
    Ok(done)
}

/// The repliers hear of it at once; should the bus be away, they hear of it from the log.
pub(super) fn offer(app: &App, reply: MessageId) {
    let bus = app.bus.clone();
    let offering = async move {
        if let Err(error) = bus.offer(reply).await {
            tracing::debug!(cause = store::in_full(&error), "a reply is offered later");
        }
    };
    tokio::spawn(offering.in_current_span());
}

/// What is no id is nobody's session.
pub(super) fn parse_session(text: &str) -> Result<ConversationId, Problem> {
    text.parse().map_err(|_| Problem::NoSuchSession)
}

impl From<PostError> for Problem {
    fn from(error: PostError) -> Self {
        match error {
            PostError::KeyReused => ReplyProblem::KeyReused.into(),
            PostError::Gone => SessionProblem::Gone.into(),
            PostError::NoSuchParent => SessionProblem::NoSuchParent.into(),
            PostError::Branch(error) => error.into(),
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
