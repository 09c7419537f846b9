//! What was said, in portions that a provider takes, and what each text of a portion costs.

use std::sync::Arc;

use domain::chat::message::MessageEvent;
use domain::chat::reply::Usage;
use domain::ids::{MessageId, UserId};
use domain::{Event, UnknownEvent};
use store::Recorded;

use crate::Failure;
use crate::context::tokens;

/// A message that is to be embedded, and the text by which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) message: MessageId,
    /// Not known of replies of old.
    pub(super) owner: Option<UserId>,
    pub(super) content: String,
}

/// How many texts are asked for at once, and how many tokens, as estimated.
const MOST: usize = 64;
const MOST_TOKENS: u32 = 100_000;
/// How much of a text counts, in tokens, as estimated: what most models take.
const LONGEST: u32 = 6_000;
/// What is shorter and refused is refused for another reason than its length.
const SHORT: u32 = 100;

/// The texts of new messages and of replies that have ended.
pub(super) fn said(events: &[Arc<Recorded>]) -> Result<Vec<Text>, UnknownEvent> {
    // Vectors are long, and many of these.
    let messages =
        events.iter().filter(|event| event.stream_type == "message" && event.event_type != "MessageEmbedded");
    let mut texts = Vec::new();
    for recorded in messages {
        if let Event::Message(message, event) = recorded.event()? {
            texts.extend(Text::of(message, event));
        }
    }
    Ok(texts)
}

impl Text {
    fn of(message: MessageId, event: MessageEvent) -> Option<Self> {
        let (owner, content) = match event {
            MessageEvent::MessagePosted { owner, body, .. } => (Some(owner), body.into()),
            MessageEvent::ReplyGiven { owner, text, .. } => (Some(owner), text),
            MessageEvent::ReplyCompleted { owner, said, .. } => (owner, said.text),
            MessageEvent::ReplyStopped { owner, said } | MessageEvent::ReplyInterrupted { owner, said, .. } => {
                (Some(owner), said.text)
            }
            MessageEvent::MessageImported { message } => (Some(message.owner), message.words.text().to_owned()),
            MessageEvent::ReplyRequested { .. }
            | MessageEvent::MessageRated { .. }
            | MessageEvent::MessageEmbedded { .. }
            | MessageEvent::MessageDeleted { .. } => return None,
        };
        let content = beginning(&content, LONGEST).to_owned();
        (!content.trim().is_empty()).then_some(Self { message, owner, content })
    }

    fn tokens(&self) -> u32 {
        tokens(&self.content).max(1)
    }
}

/// As much of a text as so many tokens are, as estimated.
fn beginning(text: &str, most: u32) -> &str {
    let mut quarters = u64::from(most) * 4;
    let end = text.char_indices().find(|(_, letter)| {
        let takes = if letter.is_ascii() { 1 } else { 4 };
        let fits = quarters >= takes;
        quarters = quarters.saturating_sub(takes);
        !fits
    });
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Portions of texts, in their order.
pub(super) fn batches(texts: Vec<Text>) -> Vec<Vec<Text>> {
    let (mut all, mut some, mut sum) = (Vec::new(), Vec::new(), 0_u32);
    for text in texts {
        let more = text.tokens();
        if some.len() == MOST || sum.saturating_add(more) > MOST_TOKENS && !some.is_empty() {
            all.push(std::mem::take(&mut some));
            sum = 0;
        }
        sum = sum.saturating_add(more);
        some.push(text);
    }
    all.extend(Some(some).filter(|some| !some.is_empty()));
    all
}

/// What is asked for where a portion is refused: its halves; of one text the beginning, as models take no long ones; and
/// nothing where that is short already.
pub(super) fn less(mut texts: Vec<Text>, failure: &Failure) -> Vec<Vec<Text>> {
    if texts.len() > 1 {
        let rest = texts.split_off(texts.len() / 2);
        return vec![rest, texts];
    }
    let shorter = |text: Text| {
        let most = text.tokens() / 2;
        if most < SHORT {
            tracing::warn!(message = %text.message, detail = failure.detail, "a message stays without this model's vector");
            return None;
        }
        Some(vec![Text { content: beginning(&text.content, most).to_owned(), ..text }])
    };
    texts.into_iter().filter_map(shorter).collect()
}

/// Adds up what is spent: a text costs less than the millionth of a dollar in which costs are counted.
#[derive(Debug, Default)]
pub(super) struct Meter {
    tokens: u32,
    micros: u64,
}

impl Meter {
    /// What each text took: its share of what the provider has counted, or what it is estimated at.
    pub(super) fn usages(
        &mut self,
        texts: &[Text],
        counted: Option<u32>,
        price: impl Fn(u32) -> Option<u64>,
    ) -> Vec<Usage> {
        let estimates: Vec<u32> = texts.iter().map(Text::tokens).collect();
        let tokens = counted.map_or_else(|| estimates.clone(), |counted| shares(counted, &estimates));
        let usage = |prompt_tokens| Usage {
            prompt_tokens,
            completion_tokens: 0,
            estimated: counted.is_none(),
            cost_micros: self.cost(prompt_tokens, &price),
        };
        tokens.into_iter().map(usage).collect()
    }

    fn cost(&mut self, tokens: u32, price: impl Fn(u32) -> Option<u64>) -> Option<u64> {
        let (before, sum) = match self.tokens.checked_add(tokens) {
            Some(sum) => (self.micros, sum),
            None => (0, tokens),
        };
        let micros = price(sum)?;
        *self = Self { tokens: sum, micros };
        Some(micros.saturating_sub(before))
    }
}

/// Divides a number as the weights are; the shares add up to it.
fn shares(number: u32, weights: &[u32]) -> Vec<u32> {
    let all: u128 = weights.iter().copied().map(u128::from).sum();
    let (mut sum, mut given) = (0_u128, 0_u128);
    let share = |weight: &u32| {
        sum += u128::from(*weight);
        let up_to = (u128::from(number) * sum).checked_div(all).unwrap_or(0);
        let share = up_to - given;
        given = up_to;
        u32::try_from(share).unwrap_or(u32::MAX)
    };
    weights.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use domain::chat::reply::Interruption;
    use uuid::Uuid;

    use super::*;

    fn texts(contents: &[&str]) -> Vec<Text> {
        let text = |content: &&str| Text { message: Uuid::nil().into(), owner: None, content: (*content).to_owned() };
        contents.iter().map(text).collect()
    }

    fn sizes(batches: &[Vec<Text>]) -> Vec<usize> {
        batches.iter().map(Vec::len).collect()
    }

    #[test]
    fn portions_are_bounded_in_texts_and_in_tokens() {
        assert_eq!(sizes(&batches(texts(&["a"; 130]))), [64, 64, 2]);
        let long = "안".repeat(6_000);
        assert_eq!(sizes(&batches(texts(&[long.as_str(); 20]))), [16, 4]);
        assert_eq!(sizes(&batches(texts(&["x".repeat(1_000_000).as_str()]))), [1]);
        assert!(batches(Vec::new()).is_empty());
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(beginning("abcd", 1), "abcd");
        assert_eq!(beginning("abcde", 1), "abcd");
        assert_eq!(beginning("a안녕", 1), "a");
        assert_eq!(beginning("안녕", 1), "안");
        assert_eq!(tokens(beginning(&"안녕 hello ".repeat(9_000), LONGEST)), LONGEST);
    }

    #[test]
    fn what_is_refused_is_halved_until_it_is_short() {
        let failure = Failure { reason: Interruption::ProviderRefused, retry_after: None, detail: String::new() };
        assert_eq!(sizes(&less(texts(&["a"; 5]), &failure)), [3, 2]);
        let mut left = vec![texts(&["안".repeat(6_000).as_str()])];
        let mut lengths = Vec::new();
        while let Some(texts) = left.pop() {
            lengths.extend(texts.iter().map(|text| text.content.chars().count()));
            left.extend(less(texts, &failure));
        }
        assert_eq!(lengths, [6_000, 3_000, 1_500, 750, 375, 187]);
    }

    #[test]
    fn what_was_counted_is_divided_to_the_last_token() {
        assert_eq!(shares(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(shares(u32::MAX, &[u32::MAX, u32::MAX]), [u32::MAX / 2, u32::MAX / 2 + 1]);
        assert_eq!(shares(7, &[]), [0; 0]);
    }

    #[test]
    fn small_costs_add_up() {
        // Two hundredths of a dollar for a million tokens.
        let price = |tokens: u32| Some((u64::from(tokens) + 25) / 50);
        let (mut meter, some) = (Meter::default(), texts(&["a"; 10]));
        let sum: u64 =
            (0..100).flat_map(|_| meter.usages(&some, Some(10), price)).filter_map(|it| it.cost_micros).sum();
        assert_eq!(sum, 20);
        assert_eq!(meter.cost(u32::MAX, price), price(u32::MAX), "it begins anew");
        let free = Meter::default().usages(&some, None, |_| None);
        assert!(free.iter().all(|it| it.estimated && it.cost_micros.is_none() && it.prompt_tokens == 1));
    }
}
