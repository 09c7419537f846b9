//! What can be wrong with a file, or with where it is kept.

use axum::http::StatusCode;

use super::{BROKEN, Problem, Shape, shape};
use crate::files::{FilesError, StoringError};

#[derive(Debug)]
pub(crate) enum FileProblem {
    NoSuchAttachment,
    /// An upload is a form.
    NotAForm,
    /// A message has as many as it may have.
    TooMany,
    /// The range that was asked for lies behind the end.
    NoSuchPart,
    Store(FilesError),
    /// It is known, but where its bytes should be there are none.
    Lost,
}

impl FileProblem {
    pub(super) const fn shape(&self) -> Shape {
        match self {
            Self::NoSuchAttachment => shape(StatusCode::NOT_FOUND, "attachment_not_found", "Attachment not found."),
            Self::NotAForm => {
                shape(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_a_form", "The body must be multipart/form-data.")
            }
            Self::TooMany => {
                shape(StatusCode::CONFLICT, "too_many_attachments", "This message has as many files as it may have.")
            }
            Self::NoSuchPart => {
                shape(StatusCode::RANGE_NOT_SATISFIABLE, "no_such_range", "The file has no such range.")
            }
            Self::Store(_) => shape(
                StatusCode::SERVICE_UNAVAILABLE,
                "files_unavailable",
                "Files are not available for the moment. Please try again.",
            ),
            Self::Lost => BROKEN,
        }
    }

    pub(super) fn log(&self) {
        match self {
            Self::Store(error) => tracing::warn!(cause = store::in_full(error), "files are not available"),
            Self::Lost => tracing::error!("an attachment's bytes are not where they should be"),
            Self::NoSuchAttachment | Self::NotAForm | Self::TooMany | Self::NoSuchPart => {}
        }
    }
}

impl From<FileProblem> for Problem {
    fn from(problem: FileProblem) -> Self {
        Self::File(problem)
    }
}

impl From<FilesError> for Problem {
    fn from(error: FilesError) -> Self {
        FileProblem::Store(error).into()
    }
}

impl From<StoringError> for Problem {
    fn from(error: StoringError) -> Self {
        match error {
            StoringError::TooLarge => Self::TooLarge,
            StoringError::Busy => Self::Busy,
            StoringError::Files(error) => error.into(),
        }
    }
}
