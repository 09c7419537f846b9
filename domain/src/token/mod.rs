//! What proves who somebody is: one stream for each sign-in on a device, one for each key of a program.

pub mod api_key;
pub mod family;
pub mod notice;

pub use api_key::ApiKey;
pub use family::Token;
pub use notice::Notice;
