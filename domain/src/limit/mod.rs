//! What is allowed how often: the state of a limit and a moment go in, yes or "not before" comes out. Pure, like `decide`.

mod backoff;
mod block;
mod budget;
mod rate;
mod spending;
mod window;

pub use backoff::Backoff;
pub use block::Block;
pub use budget::{Amount, Budget, Good, NotABudget, Period, Spender, day_of};
pub use rate::{NotARate, Rate, Unit};
pub use spending::{Balance, End, Known, LAPSE_SECONDS, Spending};
pub use window::Window;
