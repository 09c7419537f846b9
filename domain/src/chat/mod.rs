//! Talk: conversations, the messages in them, and the built-in bot.

pub mod conversation;
pub mod message;
pub mod reply;
pub mod rules;

pub use conversation::Conversation;
pub use message::Message;
pub use reply::Usage;
