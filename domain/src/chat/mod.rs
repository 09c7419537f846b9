//! Talk: conversations, the messages in them, and the built-in bot.

pub mod attachment;
pub mod conversation;
pub mod import;
pub mod message;
pub mod place;
pub mod reply;
pub mod rules;
pub mod title;

pub use attachment::Attachment;
pub use conversation::Conversation;
pub use message::Message;
pub use reply::Usage;
