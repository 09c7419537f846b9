//! The executor on both engines: what a command has read still stands when its events are appended.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test's words are its panics")]

use domain::Metadata;
use domain::chat::conversation::{Conversation, ConversationCommand, ConversationError, Features};
use domain::chat::message::{Message, MessageCommand, MessageError};
use domain::chat::place::{After, Speaker};
use domain::chat::reply::{Asked, Ending, ReplyTo, Said, Usage};
use domain::ids::{ClaimId, ClaimKind, ConversationId, MessageId, UserId};
use domain::user::claim::{Claim, ClaimCommand, ClaimError};
use domain::values::MessageBody;
use futures::future::join_all;
use store::{Clock, Command, Executor, Position, StoreError, Unit, fresh_id};
use tests::{Stage, on_both_engines};

#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Conversation(#[from] ConversationError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Converse(ConversationId, ConversationCommand);

impl Command for Converse {
    const NAME: &'static str = "converse";
    type Output = ();
    type Error = Refusal;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Refusal> {
        Ok(unit.load::<Conversation>(self.0).await?.decide(self.1.clone())?)
    }
}

/// Posts into a conversation that is only read.
struct Post(ConversationId, UserId);

impl Command for Post {
    const NAME: &'static str = "post";
    type Output = ();
    type Error = Refusal;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Refusal> {
        let (conversation, owner) = (self.0, self.1);
        unit.load::<Conversation>(conversation).await?.decide(ConversationCommand::Enter { by: owner })?;
        let body = MessageBody::within("hello", 10).map_err(|_| StoreError::Closed)?;
        unit.begin::<Message>(fresh_id()).decide(MessageCommand::Post {
            conversation,
            owner,
            body,
            speaker: Speaker::User,
            after: After::Latest,
        })?;
        Ok(())
    }
}

/// Claims two names, or none.
struct ClaimBoth(ClaimId, ClaimId, UserId);

impl Command for ClaimBoth {
    const NAME: &'static str = "claim_both";
    type Output = ();
    type Error = Refusal;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Refusal> {
        for claim in [self.0, self.1] {
            let command = ClaimCommand::Claim { kind: ClaimKind::Username, by: self.2 };
            unit.load::<Claim>(claim).await?.decide(command)?;
        }
        Ok(())
    }
}

/// Begins a reply and completes it, in one append.
struct Reply(MessageId);

impl Command for Reply {
    const NAME: &'static str = "reply";
    type Output = ();
    type Error = Refusal;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<(), Refusal> {
        let reply = ReplyTo { conversation: fresh_id(), owner: fresh_id(), to: fresh_id() };
        let mut stream = unit.load::<Message>(self.0).await?;
        let asked = Asked { model: "m".to_owned(), max_tokens: None, temperature: None };
        stream.decide(MessageCommand::RequestReply { reply, asked })?;
        let said = Said { text: "t".to_owned(), model: "m".to_owned(), usage: Usage::default() };
        stream.decide(MessageCommand::EndReply { said, ending: Ending::Stopped })?;
        Ok(())
    }
}

fn nodes(stage: &Stage) -> [Executor; 2] {
    [stage.log.clone(), stage.another_log()].map(|log| Executor::new(log, Clock::System))
}

fn request() -> Metadata {
    Metadata { request_id: fresh_id::<uuid::Uuid>().to_string(), ..Metadata::default() }
}

fn start(owner: UserId) -> Converse {
    Converse(fresh_id(), ConversationCommand::Start { owner, features: Features::default() })
}

on_both_engines! {
    async fn a_command_answers_where_its_last_event_stands(stage: Stage) {
        let [node, _] = nodes(&stage);
        let owner = fresh_id();
        let started = start(owner);
        assert_eq!(node.execute(&started, request()).await.unwrap().position, Some(Position::new(1)));
        let entered = Converse(started.0, ConversationCommand::Enter { by: owner });
        assert_eq!(node.execute(&entered, request()).await.unwrap().position, None, "nothing had to happen");
        assert_eq!(node.execute(&Reply(fresh_id()), request()).await.unwrap().position, Some(Position::new(3)));
        let events = stage.log.read(Position::START, 10).await.unwrap();
        let names: Vec<_> = events.iter().map(|event| (event.event_type.as_str(), event.sequence)).collect();
        assert_eq!(names, [("ConversationStarted", 1), ("ReplyRequested", 1), ("ReplyStopped", 2)]);
    }

    async fn what_another_node_has_changed_is_not_decided_upon(stage: Stage) {
        let [here, there] = nodes(&stage);
        let owner = fresh_id();
        let started = start(owner);
        here.execute(&started, request()).await.unwrap();
        here.execute(&Post(started.0, owner), request()).await.unwrap();
        there.execute(&Converse(started.0, ConversationCommand::Delete { by: owner }), request()).await.unwrap();
        // This node remembers an open conversation; the append itself finds that it is not.
        let late = here.execute(&Post(started.0, owner), request()).await;
        assert!(matches!(late, Err(Refusal::Conversation(ConversationError::NotFound))), "{late:?}");
        assert_eq!(stage.log.head().await.unwrap().get(), 3);
    }

    async fn nobody_posts_into_what_is_deleted_at_the_same_time(stage: Stage) {
        let [here, there] = nodes(&stage);
        let owner = fresh_id();
        for _ in 0..10 {
            let started = start(owner);
            here.execute(&started, request()).await.unwrap();
            let post = Post(started.0, owner);
            let delete = Converse(started.0, ConversationCommand::Delete { by: owner });
            let posts = join_all((0..8).map(|_| here.execute(&post, request())));
            let (posts, deleted) = tokio::join!(posts, there.execute(&delete, request()));
            let deleted = deleted.unwrap().position.unwrap();
            let late: Vec<_> = posts.iter().filter_map(|post| post.as_ref().ok()?.position).filter(|at| *at > deleted).collect();
            assert_eq!(late, [], "posted after the deletion at {deleted}");
        }
    }

    async fn of_many_who_want_one_thing_one_gets_it(stage: Stage) {
        let nodes = nodes(&stage);
        let wanted = ClaimId::of(ClaimKind::Username, "wanted");
        let commands: Vec<_> = (0..40)
            .map(|n| ClaimBoth(ClaimId::of(ClaimKind::Username, &n.to_string()), wanted, fresh_id()))
            .collect();
        let runs = commands.iter().enumerate().map(|(n, command)| nodes[n % 2].execute(command, request()));
        let outcomes = join_all(runs).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert!(outcomes.iter().all(|it| matches!(it, Ok(_) | Err(Refusal::Claim(ClaimError::Taken(_))))), "{outcomes:?}");
        // All or nothing: whoever was refused has claimed neither.
        assert_eq!(stage.log.head().await.unwrap().get(), 2);
    }

    async fn who_caused_an_event_stands_beside_it(stage: Stage) {
        let [node, _] = nodes(&stage);
        let who = Metadata { user: Some(fresh_id()), ip: Some("127.0.0.1".to_owned()), ..request() };
        node.execute(&start(fresh_id()), who.clone()).await.unwrap();
        let events = stage.another_log().read(Position::START, 10).await.unwrap();
        assert_eq!(events[0].metadata().unwrap(), who);
    }
}
