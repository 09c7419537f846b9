//! Texts in the library's words, and the vectors that come of them.

use genai::embed::{EmbedOptions, EmbedRequest, EmbedResponse};
use tokio_util::task::AbortOnDropHandle;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

use super::{Target, Vendor, errors, service};
use crate::provider::fault::Fault;

/// What a provider gave for some texts, in their order.
#[derive(Debug, PartialEq)]
pub struct Given {
    pub vectors: Vec<Vec<f32>>,
    /// As it counted, where it did.
    pub prompt_tokens: Option<u32>,
}

impl Vendor {
    /// Given up when it is dropped.
    pub async fn embed(&self, target: &Target<'_>, texts: &[String], dimensions: Option<u32>) -> Result<Given, Fault> {
        let room = self.reading_room.as_ref().ok_or(Fault::Unanswerable)?;
        let (client, service) = (self.client.clone(), service(target, "embeddings"));
        let request = EmbedRequest::new_batch(texts.to_vec());
        let dimensions = dimensions.and_then(|it| usize::try_from(it).ok());
        let options = EmbedOptions { dimensions, ..EmbedOptions::default() };
        let asking = async move {
            let answer = client.exec_embed(service, request, Some(&options)).await;
            answer.map_err(|error| errors::fault(&error)).and_then(Given::of)
        };
        let asking = room.spawn(asking.with_subscriber(Dispatch::none()));
        AbortOnDropHandle::new(asking).await.unwrap_or(Err(Fault::Garbled))
    }
}

impl Given {
    /// Vendors number them, and may give them in any order.
    fn of(answer: EmbedResponse) -> Result<Self, Fault> {
        let mut embeddings = answer.embeddings;
        embeddings.sort_by_key(|embedding| embedding.index);
        if !embeddings.iter().map(|embedding| embedding.index).eq(0..embeddings.len()) {
            return Err(Fault::Garbled);
        }
        let prompt_tokens = answer.usage.prompt_tokens.and_then(|it| u32::try_from(it).ok()).filter(|it| *it > 0);
        Ok(Self { vectors: embeddings.into_iter().map(|embedding| embedding.vector).collect(), prompt_tokens })
    }
}

#[cfg(test)]
mod tests {
    use genai::ModelIden;
    use genai::adapter::AdapterKind;
    use genai::chat::Usage;
    use genai::embed::Embedding;

    use super::*;

    fn given(embeddings: &[(f32, usize)], prompt_tokens: Option<i32>) -> Result<Given, Fault> {
        let model = || ModelIden::new(AdapterKind::OpenAI, "embed");
        let embeddings = embeddings.iter().map(|(number, index)| Embedding::new(vec![*number], *index)).collect();
        let usage = Usage { prompt_tokens, ..Usage::default() };
        Given::of(EmbedResponse::new(embeddings, model(), model(), usage))
    }

    #[test]
    fn vectors_come_in_the_order_of_the_texts() {
        let vectors = vec![vec![1.0], vec![2.0], vec![3.0]];
        let in_order = Given { vectors, prompt_tokens: Some(7) };
        assert_eq!(given(&[(2.0, 1), (3.0, 2), (1.0, 0)], Some(7)), Ok(in_order));
        for numbers in [[(1.0, 0), (2.0, 0)], [(1.0, 1), (2.0, 2)]] {
            assert_eq!(given(&numbers, None), Err(Fault::Garbled), "{numbers:?}");
        }
    }

    #[test]
    fn what_is_not_counted_is_not_zero() {
        for tokens in [None, Some(0), Some(-1)] {
            assert_eq!(given(&[], tokens).unwrap().prompt_tokens, None);
        }
    }
}
