//! What is wrong with a body's fields, all of it at once.

use domain::values::Invalid;

use super::{FieldError, Problem};

/// What is said of a field that has to be there.
pub(crate) const MISSING: &str = "field required";

impl Problem {
    /// One field that is not valid.
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { field, message: message.into() }])
    }
}

/// Collects what is wrong with a body's fields, so that a client hears of all at once.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// Takes a parsed field, or notes why there is none.
    pub(crate) fn take<T>(&mut self, field: &'static str, parsed: Result<T, Invalid>) -> Option<T> {
        parsed.map_err(|invalid| self.0.push(FieldError { field, message: invalid.to_string() })).ok()
    }

    /// The same for one that has to be there.
    pub(crate) fn need<G, T>(
        &mut self,
        field: &'static str,
        given: Option<G>,
        parse: impl FnOnce(G) -> Result<T, Invalid>,
    ) -> Option<T> {
        if let Some(given) = given {
            return self.take(field, parse(given));
        }
        self.0.push(FieldError { field, message: MISSING.to_owned() });
        None
    }

    pub(crate) const fn are_fine(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_problem(self) -> Problem {
        Problem::Invalid(self.0)
    }
}
