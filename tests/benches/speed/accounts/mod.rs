//! What signing in costs, and whom it slows.

pub mod checks;
pub mod refreshes;
pub mod sign_ins;
pub mod storm;
