//! What a request for a completion brings along: a conversation, and how the model is to go on with it.

use domain::chat::place::Speaker;
use domain::values::MessageBody;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::commands::Earlier;
use crate::problem::{MISSING, Problem, ReplyProblem};
use crate::routes::posting::MAX_TOKENS;

/// What is not named here is passed over: how words are to be chosen (`top_p`, `seed`, penalties), which is then left to the
/// model, and what is for OpenAI's own books (`user`, `store`, `metadata`).
#[derive(Deserialize)]
pub(crate) struct CompletionRequest {
    pub(super) model: Option<String>,
    messages: Option<Vec<Message>>,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    pub(super) temperature: Option<f64>,
    n: Option<Value>,
    stop: Option<Value>,
    tools: Option<Value>,
    tool_choice: Option<Value>,
    functions: Option<Value>,
    function_call: Option<Value>,
    response_format: Option<Value>,
    logprobs: Option<Value>,
    top_logprobs: Option<Value>,
    logit_bias: Option<Value>,
    modalities: Option<Value>,
    audio: Option<Value>,
    web_search_options: Option<Value>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
    tool_calls: Option<Vec<Value>>,
    function_call: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
    refusal: Option<String>,
}

/// What was said, and what is to be answered.
pub(super) struct Told {
    pub(super) earlier: Vec<Earlier>,
    pub(super) last: String,
}

/// How many messages one request may bring along.
const MOST_MESSAGES: usize = 512;

impl CompletionRequest {
    /// Refuses what would make another answer than this can be.
    pub(super) fn check(&self) -> Result<(), Problem> {
        // Each with what it is to be, if it is there at all.
        let usual = [
            ("n", &self.n, json!(1)),
            ("stop", &self.stop, json!([])),
            ("tools", &self.tools, json!([])),
            ("tool_choice", &self.tool_choice, json!("none")),
            ("functions", &self.functions, json!([])),
            ("function_call", &self.function_call, json!("none")),
            ("response_format", &self.response_format, json!({"type": "text"})),
            ("logprobs", &self.logprobs, json!(false)),
            ("top_logprobs", &self.top_logprobs, json!(0)),
            ("logit_bias", &self.logit_bias, json!({})),
            ("modalities", &self.modalities, json!(["text"])),
            ("audio", &self.audio, Value::Null),
            ("web_search_options", &self.web_search_options, Value::Null),
        ];
        let odd = usual.iter().find(|(_, given, usual)| given.as_ref().is_some_and(|given| given != usual));
        odd.map_or(Ok(()), |(name, ..)| Err(ReplyProblem::Unsupported(name).into()))
    }

    pub(super) fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or(false)
    }

    /// How long the reply may be, and by which name that was said.
    pub(super) fn most_tokens(&self) -> (&'static str, Option<i64>) {
        match self.max_completion_tokens {
            Some(most) => ("max_completion_tokens", Some(most)),
            None => (MAX_TOKENS, self.max_tokens),
        }
    }

    pub(super) fn model(&self) -> Result<&str, Problem> {
        self.model.as_deref().ok_or_else(|| Problem::invalid("model", MISSING))
    }

    /// Where a conversation goes on that is kept here, what is sent once more of it is not looked at.
    pub(super) fn told(self, goes_on: bool) -> Result<Told, Problem> {
        let mut messages = self.messages.ok_or_else(|| Problem::invalid("messages", MISSING))?;
        let last = messages.iter().rposition(|message| message.role == "user");
        let last = last.ok_or_else(|| Problem::invalid("messages", "must have one of the user"))?;
        if messages.iter().skip(last + 1).any(|message| !message.is_the_systems()) {
            return Err(Problem::invalid("messages", "must end with the user's"));
        }
        let last =
            messages.remove(last).text().map_err(|why| Problem::invalid("messages", format!("the last one {why}")))?;
        if goes_on {
            return Ok(Told { earlier: Vec::new(), last });
        }
        if messages.len() >= MOST_MESSAGES {
            return Err(Problem::invalid("messages", format!("must be at most {MOST_MESSAGES}")));
        }
        let earlier = messages.into_iter().enumerate().map(|(index, message)| {
            message.earlier().map_err(|why| Problem::invalid("messages", format!("number {} {why}", index + 1)))
        });
        let earlier: Vec<Option<Earlier>> = earlier.collect::<Result<_, _>>()?;
        Ok(Told { earlier: earlier.into_iter().flatten().collect(), last })
    }
}

impl Message {
    fn is_the_systems(&self) -> bool {
        ["system", "developer"].contains(&self.role.as_str())
    }

    /// Who says nothing is passed over.
    fn earlier(self) -> Result<Option<Earlier>, String> {
        let speaker = match self.role.as_str() {
            _ if self.is_the_systems() => Speaker::System,
            "user" => Speaker::User,
            "assistant" => Speaker::Assistant,
            _ => return Err("must be of the system, the developer, the user or the assistant".to_owned()),
        };
        let text = self.text()?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let body = MessageBody::within(&text, MessageBody::MOST).map_err(|invalid| invalid.to_string())?;
        Ok(Some(Earlier { speaker, body }))
    }

    fn text(self) -> Result<String, String> {
        if self.tool_calls.is_some_and(|calls| !calls.is_empty()) || self.function_call.is_some() {
            return Err("must not call a tool: there are none".to_owned());
        }
        let parts = match self.content {
            None => return Ok(String::new()),
            Some(Content::Text(text)) => return Ok(text),
            Some(Content::Parts(parts)) => parts,
        };
        let texts: Option<Vec<_>> = parts.into_iter().map(|part| part.text.or(part.refusal)).collect();
        texts.map(|texts| texts.join("\n")).ok_or_else(|| "must be text alone".to_owned())
    }
}
