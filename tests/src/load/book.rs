//! What a user remembers of their posts, and what a history must be to agree with it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

/// What one user has said, and what was acknowledged.
#[derive(Debug, Default)]
pub struct Book {
    /// Every post, no two alike, in the order in which they were sent.
    pub said: Vec<String>,
    /// Those that were acknowledged, in the same order.
    pub turns: Vec<Turn>,
}

/// An acknowledged post and its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Which post it was.
    pub said: usize,
    pub session: String,
    pub message: String,
    pub reply: String,
    pub response: String,
    pub position: i64,
}

/// A message as the history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub id: String,
    pub session: String,
    pub role: String,
    pub content: String,
}

impl Book {
    /// How many turns were acknowledged, and up to where in the log.
    pub fn known(&self) -> (usize, i64) {
        (self.turns.len(), self.turns.last().map_or(0, |turn| turn.position))
    }

    /// What is amiss with a whole history, for somebody who knew of so many turns when they asked for it.
    ///
    /// Every turn that was known is there, in order; every other post is there at most once; nothing else is there. Of the
    /// newest post, which nobody has been told of yet, the reply may still be on its way.
    pub fn check(&self, known: usize, shown: &[Shown]) -> Result<(), String> {
        let shown = settled(shown);
        let ids: HashSet<_> = shown.iter().map(|message| &message.id).collect();
        if ids.len() < shown.len() {
            return Err(format!("{} messages have {} ids", shown.len(), ids.len()));
        }
        let posts = self.posts(shown)?;
        let distinct: HashSet<_> = posts.iter().collect();
        if distinct.len() < posts.len() {
            return Err(format!("a post is there twice: {posts:?}"));
        }
        let acknowledged: HashSet<_> = self.turns.iter().map(|turn| turn.said).collect();
        let posts: Vec<_> = posts.into_iter().filter(|post| acknowledged.contains(post)).collect();
        let turns = self.turns.iter().map(|turn| turn.said);
        if turns.take(posts.len().max(known)).eq(posts.iter().copied()) {
            return Ok(());
        }
        let lost = self.turns.iter().take(known).find(|turn| !posts.contains(&turn.said));
        Err(format!("of {known} known turns {lost:?} is the first that is lost; there are {posts:?}"))
    }

    /// What is amiss with a whole history that all of this is in.
    pub fn check_all(&self, shown: &[Shown]) -> Result<(), String> {
        if settled(shown).len() < shown.len() {
            return Err(format!("a message without a reply: {:?}", shown.last()));
        }
        self.check(self.turns.len(), shown)
    }

    /// Which posts are shown: each a user's message with its reply right behind it.
    fn posts(&self, shown: &[Shown]) -> Result<Vec<usize>, String> {
        let said: HashMap<_, _> = self.said.iter().zip(0..).map(|(text, n)| (text.as_str(), n)).collect();
        let turns: HashMap<_, _> = self.turns.iter().map(|turn| (turn.said, turn)).collect();
        shown.chunks(2).map(|pair| post(pair, &said, &turns)).collect()
    }
}

/// What is there without the newest post, if its reply is not there yet.
fn settled(shown: &[Shown]) -> &[Shown] {
    match shown {
        [before @ .., message] if message.role == "user" => before,
        [before @ .., _, reply] if reply.content.is_empty() => before,
        all => all,
    }
}

fn post(pair: &[Shown], said: &HashMap<&str, usize>, turns: &HashMap<usize, &Turn>) -> Result<usize, String> {
    let [message, reply] = pair else { return Err(format!("a message without a reply: {pair:?}")) };
    if (message.role.as_str(), reply.role.as_str()) != ("user", "bot") || message.session != reply.session {
        return Err(format!("no message and its reply: {pair:?}"));
    }
    let post = said.get(message.content.as_str()).copied().ok_or_else(|| format!("never said: {message:?}"))?;
    let same = turns.get(&post).is_none_or(|turn| {
        (&turn.session, &turn.message, &turn.reply, &turn.response)
            == (&message.session, &message.id, &reply.id, &reply.content)
    });
    if same { Ok(post) } else { Err(format!("{:?} was acknowledged, {pair:?} is there", turns.get(&post))) }
}

impl Shown {
    pub(super) fn of(message: &Value) -> Self {
        let text = |field| message.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { id: text("id"), session: text("session_id"), role: text("role"), content: text("content") }
    }
}
