//! `Refresh` → `TokenRotated`, or what else follows from the refresh token that somebody shows.

use domain::Timestamp;
use domain::ids::{TokenId, UserId};
use domain::token::family::{Family, Origin, Presented, Token, TokenCommand, TokenError, Verdict};
use domain::user::User;
use store::{Command, Executor, Owner, StoreError, Unit};

use crate::tokens::{RefreshToken, RefreshTokens};

#[derive(Debug)]
pub(crate) struct Refresh<'a> {
    pub(crate) tokens: &'a RefreshTokens,
    pub(crate) presented: &'a RefreshToken,
    pub(crate) from: Origin,
}

#[derive(Debug)]
pub(crate) enum Refreshed {
    Yes {
        user: UserId,
        session: TokenId,
        generation: u32,
        epoch: u32,
        refresh_token: RefreshToken,
        at: Timestamp,
    },
    /// It never was one.
    Unknown,
    /// Not any more; whether the whole sign-in has just ended because of it.
    No {
        ended: bool,
    },
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    #[error("a successor could not be made")]
    NoSuccessor,
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Command for Refresh<'_> {
    const NAME: &'static str = "refresh";
    type Output = Refreshed;
    type Error = RefreshError;

    async fn run(&self, unit: &mut Unit<'_>) -> Result<Refreshed, RefreshError> {
        let Some(shown) = Shown::look(self.tokens, self.presented, unit).await? else {
            return Ok(Refreshed::Unknown);
        };
        let Shown { family, epoch, verdict, successor, .. } = &shown;
        let (answer, generation) = match verdict {
            Verdict::Current => {
                let generation = family.number.saturating_add(1);
                let owner = Owner { user: family.user, epoch: family.epoch };
                let successor = self.tokens.settle(self.presented, generation, owner, unit.now()).await?;
                (Some(successor.ok_or(RefreshError::NoSuccessor)?), generation)
            }
            Verdict::Before => (successor.clone(), family.number),
            Verdict::Reused | Verdict::Expired | Verdict::Revoked | Verdict::Unknown => (None, family.number),
        };
        if answer.is_some() {
            unit.is_done_by(family.user, self.presented.family());
        }
        shown.decide(self.tokens, self.presented, answer.as_ref(), self.from.clone(), unit).await?;
        let (user, session, epoch, at) = (family.user, self.presented.family(), *epoch, unit.now());
        Ok(match answer {
            Some(refresh_token) => Refreshed::Yes { user, session, generation, epoch, refresh_token, at },
            None => Refreshed::No { ended: *verdict == Verdict::Reused },
        })
    }
}

/// A refresh token that was shown, beside its stream.
pub(super) struct Shown {
    pub(super) family: Family,
    /// The epoch of the user's account.
    pub(super) epoch: u32,
    pub(super) verdict: Verdict,
    presented: Presented,
    /// For a token that was rotated: what it was rotated to.
    successor: Option<RefreshToken>,
}

impl Shown {
    /// `None` where it never was a token of its sign-in.
    pub(super) async fn look(
        tokens: &RefreshTokens,
        token: &RefreshToken,
        unit: &mut Unit<'_>,
    ) -> Result<Option<Self>, StoreError> {
        let now = unit.now();
        let stream = unit.load_fresh::<Token>(token.family()).await?.state().clone();
        let (Token::Active(family) | Token::Revoked(family)) = &stream else { return Ok(None) };
        let user = unit.load_fresh::<User>(family.user).await?.state().clone();
        Self::judged(tokens, token, (&stream, family), &user, now).await
    }

    /// The same for a query, which appends nothing that would hang on what it read.
    pub(super) async fn query(
        tokens: &RefreshTokens,
        token: &RefreshToken,
        executor: &Executor,
    ) -> Result<Option<Self>, StoreError> {
        let stream = executor.look::<Token>(token.family()).await?;
        let (Token::Active(family) | Token::Revoked(family)) = &stream else { return Ok(None) };
        let user = executor.look::<User>(family.user).await?;
        Self::judged(tokens, token, (&stream, family), &user, executor.clock().now()).await
    }

    async fn judged(
        tokens: &RefreshTokens,
        token: &RefreshToken,
        (stream, family): (&Token, &Family),
        user: &User,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let account = user.active();
        let (successor, current_seen) = match family.number {
            0 => (None, None),
            number => tokens.settled(token, number).await?,
        };
        // Only what its stream knows is handed out.
        let successor = successor.filter(|successor| family.is_current(&successor.digest()));
        let presented = Presented {
            digest: token.digest(),
            current_seen,
            allowed: account.is_some_and(|account| account.keeps(token.family(), family.epoch)),
            leeway_seconds: tokens.leeway_seconds,
        };
        let verdict = stream.verdict(presented, now);
        let epoch = account.map(|account| account.epoch).unwrap_or_default();
        let shown = Self { family: family.clone(), epoch, verdict, presented, successor };
        Ok(Some(shown).filter(|_| verdict != Verdict::Unknown))
    }

    /// Lets the sign-in's stream decide what follows.
    pub(super) async fn decide(
        &self,
        tokens: &RefreshTokens,
        token: &RefreshToken,
        successor: Option<&RefreshToken>,
        from: Origin,
        unit: &mut Unit<'_>,
    ) -> Result<(), RefreshError> {
        let (presented, lifetime) = (self.presented, tokens.lifetime);
        let successor = successor.map_or(presented.digest, RefreshToken::digest);
        let mut stream = unit.load::<Token>(token.family()).await?;
        stream.decide(TokenCommand::Refresh { presented, successor, lifetime, from })?;
        Ok(())
    }
}
