//! What is allowed how often: the state of a limit and a moment go in, yes or "not before" comes out. Pure, like `decide`.

mod backoff;
mod rate;
mod window;

pub use backoff::Backoff;
pub use rate::{NotARate, Rate, Unit};
pub use window::Window;
