//! What proves who somebody is: one stream for each sign-in on a device.

pub mod family;

pub use family::Token;
