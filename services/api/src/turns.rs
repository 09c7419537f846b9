//! `command ─▶ limits, budgets ─▶ executor`: what asks for a reply, or for something else of a model, and what that is paid with.

use domain::chat::Usage;
use domain::chat::message::Message;
use domain::ids::MessageId;
use domain::limit::Amount;
use domain::token::notice::NoticeEvent;
use store::{Command, Done, StoreError};

use crate::app::App;
use crate::caller::Caller;
use crate::commands::Note;
use crate::limits::{self, Asker, Asks, Charge, Exceeded, Refused, Reserved};
use crate::problem::Problem;

/// The places in windows that something takes, and what is reserved for it.
#[derive(Debug)]
pub(crate) struct Paid {
    charge: Charge,
    reserved: Reserved,
}

/// What stands in the way.
enum Refusal {
    /// And for which address the request has still to be counted, if it has.
    Limit(Refused, Option<String>),
    Budget(Exceeded),
}

impl App {
    /// Runs a command that asks for a reply, where limits and budgets admit that. What came before, under the id of a message that
    /// says so, counts no more, whatever they say now; nor does what comes to nothing.
    pub(crate) async fn execute_turn<C>(
        &self,
        caller: &Caller,
        command: &C,
        asks: Option<Asks>,
        before: Option<MessageId>,
    ) -> Result<Done<C::Output>, Problem>
    where
        C: Command,
        Problem: From<C::Error>,
    {
        let paid = match self.pay(caller, asks).await? {
            Ok(paid) => paid,
            Err(refusal) if refusal.is_passed_by_a_repeat() && self.came_before(before).await? => {
                if let Refusal::Limit(_, Some(address)) = refusal {
                    limits::owe(address);
                }
                return Ok(self.executor.execute(command, caller.metadata.clone()).await?);
            }
            Err(refusal) => return Err(self.refuse_turn(refusal, caller)),
        };
        match self.executor.execute(command, caller.metadata.clone()).await {
            Ok(done) => {
                // What came before may still be running, and by what is reserved now.
                if done.position.is_none() {
                    self.limits.withdraw(paid.charge).await;
                }
                Ok(done)
            }
            Err(error) => {
                let problem = Problem::from(error);
                // Where nobody knows whether it came into the log, it counts.
                if !matches!(problem, Problem::Store(_)) {
                    self.take_back(paid).await;
                }
                Err(problem)
            }
        }
    }

    /// Lets somebody ask a model for what is no reply.
    pub(crate) async fn admit_asking(&self, caller: &Caller, asks: Asks) -> Result<Paid, Problem> {
        let paid = self.pay(caller, Some(asks)).await?;
        paid.map_err(|refusal| self.refuse_turn(refusal, caller))
    }

    /// What was asked for took so much of a model: the log hears of it.
    pub(crate) async fn settle_texts(&self, caller: &Caller, paid: Paid, model: &str, usage: Usage) {
        let took = Amount { tokens: usage.prompt_tokens.into(), micros: usage.cost_micros.unwrap_or(0) };
        if took == Amount::default() {
            return self.take_back(paid).await;
        }
        let what = Note(NoticeEvent::TextsEmbedded { by: caller.user, model: model.to_owned(), usage });
        match self.executor.execute(&what, caller.metadata.clone()).await.map(|done| done.position) {
            Ok(Some(position)) => self.limits.settle(paid.reserved, position, took).await,
            Ok(None) => {}
            Err(error) => tracing::error!(cause = store::in_full(&error), "what texts took is not known to the log"),
        }
    }

    /// It came to nothing. What is reserved for a reply that somebody else has asked for, under the same key, stays so.
    pub(crate) async fn take_back(&self, Paid { charge, reserved }: Paid) {
        self.limits.withdraw(charge).await;
        if !self.came_before(reserved.reply()).await.unwrap_or(true) {
            self.limits.give_back(reserved).await;
        }
    }

    async fn pay(&self, caller: &Caller, asks: Option<Asks>) -> Result<Result<Paid, Refusal>, Problem> {
        let (rate, asker) = (self.rate_of(caller).await?, Asker { user: caller.user, key: caller.metadata.key });
        let funds = match self.limits.funds(asker, asks).await? {
            Ok(funds) => funds,
            Err(exceeded) => return Ok(Err(Refusal::Budget(exceeded))),
        };
        let address = limits::owed();
        let charge = match self.limits.admit_turn(caller.user, rate, address.clone()).await {
            Ok(charge) => charge,
            Err(refused) => return Ok(Err(Refusal::Limit(refused, address))),
        };
        Ok(match self.limits.reserve(funds).await {
            Ok(reserved) => Ok(Paid { charge, reserved }),
            Err(exceeded) => {
                self.limits.withdraw(charge).await;
                Err(Refusal::Budget(exceeded))
            }
        })
    }

    async fn came_before(&self, before: Option<MessageId>) -> Result<bool, StoreError> {
        match before {
            Some(id) => Ok(self.executor.look::<Message>(id).await? != Message::Unknown),
            None => Ok(false),
        }
    }

    fn refuse_turn(&self, refusal: Refusal, caller: &Caller) -> Problem {
        match refusal {
            Refusal::Limit(refused, _) => self.refuse(refused, &caller.metadata),
            Refusal::Budget(exceeded) => self.refuse_spending(exceeded, &caller.metadata),
        }
    }
}

impl Refusal {
    /// An address comes as often as it may, whatever for.
    fn is_passed_by_a_repeat(&self) -> bool {
        match self {
            Self::Limit(refused, _) => refused.is_of_turns(),
            Self::Budget(_) => true,
        }
    }
}
