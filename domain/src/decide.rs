//! The one shape of every aggregate: `decide` is pure, `apply` is total, `cqrs-es` is an adapter around both.

use cqrs_es::Aggregate;

use crate::Timestamp;

/// A stream's state that can answer a command with events.
pub trait Decide: Aggregate<Services = Timestamp> + Clone + 'static {
    /// What names a stream of this kind.
    type Id: Copy + std::fmt::Display + Send + Sync;

    /// An event's name and version, as the log keeps them.
    fn contract(event: &Self::Event) -> (&'static str, &'static str);

    /// What follows from `command` in this state, at the moment `now`.
    fn decide(&self, command: Self::Command, now: Timestamp) -> Result<Vec<Self::Event>, Self::Error>;
}

/// Makes a state with `decide` and `evolve` into an aggregate of `cqrs-es`.
macro_rules! aggregate {
    ($state:ident, $type:literal, $id:ty, $command:ty, $event:ty, $error:ty) => {
        impl cqrs_es::Aggregate for $state {
            const TYPE: &'static str = $type;
            type Command = $command;
            type Event = $event;
            type Error = $error;
            type Services = $crate::Timestamp;

            async fn handle(
                &mut self,
                command: Self::Command,
                now: &Self::Services,
                sink: &cqrs_es::event_sink::EventSink<Self>,
            ) -> Result<(), Self::Error> {
                for event in $crate::Decide::decide(self, command, *now)? {
                    sink.write(event, self).await;
                }
                Ok(())
            }

            fn apply(&mut self, event: Self::Event) {
                self.evolve(event);
            }
        }

        impl $crate::Decide for $state {
            type Id = $id;

            fn contract(event: &Self::Event) -> (&'static str, &'static str) {
                (event.name(), event.version())
            }

            fn decide(&self, command: Self::Command, now: $crate::Timestamp) -> Result<Vec<Self::Event>, Self::Error> {
                Self::decide(self, command, now)
            }
        }
    };
}

/// Names each event and its version once, for the log, the bus and the golden files.
macro_rules! events {
    ($event:ident { $($variant:ident = $version:literal),+ $(,)? }) => {
        impl $event {
            /// Every event of this stream with its newest version.
            pub const CONTRACTS: &'static [(&'static str, &'static str)] = &[$((stringify!($variant), $version)),+];

            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => stringify!($variant),)+
                }
            }

            #[must_use]
            pub const fn version(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $version,)+
                }
            }
        }

        impl cqrs_es::DomainEvent for $event {
            fn event_type(&self) -> String {
                self.name().to_owned()
            }

            fn event_version(&self) -> String {
                self.version().to_owned()
            }
        }
    };
}

pub(crate) use {aggregate, events};
