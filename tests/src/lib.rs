//! The tests' house: real servers and the real binary, each the child of the test that asked for it.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "what cannot be started here ends the test, and the words of the panic are its report; no one else calls this"
)]

pub mod app;
pub mod asker;
pub mod browser;
pub mod child;
pub mod compose;
pub mod events;
pub mod fake_provider;
pub mod load;
pub mod log;
pub mod plans;
pub mod process;
pub mod schemathesis;
pub mod scribe;
pub mod servers;
pub mod service;
pub mod socket;
pub mod sse;
pub mod stage;
pub mod wire;

pub use app::{Persona, TestApp};
pub use asker::{Asker, Since};
pub use child::Child;
pub use compose::compose;
pub use fake_provider::FakeProvider;
pub use load::{Dice, Load, People};
pub use process::{Builder, Colloquy};
pub use servers::{Nats, Nginx, Port, Postgres, S3};
pub use service::Service;
pub use socket::Socket;
pub use stage::Stage;
pub use wire::Wire;
