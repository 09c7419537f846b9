//! What is wrong where somebody came too often, or would spend too much.

use axum::http::StatusCode;
use domain::token::notice::LimitKind;
use store::{StoreError, in_full};

use super::{Problem, Shape, shape};
use crate::limits::{Exceeded, Refused};
use crate::money::Quantity;

#[derive(Debug)]
pub(crate) enum LimitProblem {
    /// Too many attempts to sign in or to register: come again after so many seconds.
    TooManySignIns { retry_after: u32, most: usize, used: usize },
    /// More often than a limit allows.
    Reached(Refused),
    /// More than a budget has left.
    OverBudget(Exceeded),
    /// Nobody can tell how often passwords were tried.
    Away(StoreError),
}

impl LimitProblem {
    pub(super) const fn shape(&self) -> Shape {
        let (code, detail) = match self {
            Self::TooManySignIns { .. } => {
                ("too_many_sign_ins", "Too many attempts to sign in or to register. Please try again later.")
            }
            Self::Reached(refused) => reached(refused.limit.kind),
            Self::OverBudget(_) => ("budget_exceeded", "This would exceed a budget. Please try again later."),
            Self::Away(_) => {
                let detail = "Passwords can't be tried for the moment. Please try again.";
                return shape(StatusCode::SERVICE_UNAVAILABLE, "limits_unavailable", detail);
            }
        };
        shape(StatusCode::TOO_MANY_REQUESTS, code, detail)
    }

    pub(super) const fn retry_after(&self) -> Option<u32> {
        match self {
            Self::TooManySignIns { retry_after, .. } => Some(*retry_after),
            Self::Reached(refused) => Some(refused.retry_after),
            Self::OverBudget(exceeded) => Some(exceeded.retry_after),
            Self::Away(_) => None,
        }
    }

    pub(super) const fn reached(&self) -> Option<&Refused> {
        match self {
            Self::Reached(refused) => Some(refused),
            Self::TooManySignIns { .. } | Self::OverBudget(_) | Self::Away(_) => None,
        }
    }

    /// The limit, and how much of it was used.
    pub(super) const fn limit(&self) -> Option<(Quantity, Quantity)> {
        match self {
            Self::Reached(Refused { limit, .. }) => {
                Some((Quantity::Count(limit.rate.most() as u64), Quantity::Count(limit.used as u64)))
            }
            Self::OverBudget(exceeded) => Some((exceeded.limit, exceeded.used)),
            Self::TooManySignIns { most, used, .. } => {
                Some((Quantity::Count(*most as u64), Quantity::Count(*used as u64)))
            }
            Self::Away(_) => None,
        }
    }

    pub(super) fn budget(&self) -> Option<String> {
        match self {
            Self::OverBudget(exceeded) => Some(exceeded.name.clone()),
            Self::TooManySignIns { .. } | Self::Reached(_) | Self::Away(_) => None,
        }
    }

    pub(super) fn log(&self) {
        if let Self::Away(error) = self {
            tracing::warn!(cause = in_full(error), "nobody can sign in: limits can't be decided on");
        }
    }
}

const fn reached(kind: LimitKind) -> (&'static str, &'static str) {
    match kind {
        LimitKind::Service => {
            ("service_limit_reached", "The service has reached its limit of requests. Please try again later.")
        }
        LimitKind::Address => {
            ("address_limit_reached", "Your address has reached its limit of requests. Please try again later.")
        }
        LimitKind::User | LimitKind::SignIn | LimitKind::Registration | LimitKind::Budget => {
            ("user_limit_reached", "You have reached your limit of requests. Please try again later.")
        }
    }
}

impl From<LimitProblem> for Problem {
    fn from(problem: LimitProblem) -> Self {
        Self::Limit(problem)
    }
}
