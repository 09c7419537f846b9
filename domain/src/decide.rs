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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use cqrs_es::event_sink::EventSink;
    use cqrs_es::{Aggregate, DomainEvent};
    use serde::{Deserialize, Serialize};

    use crate::Timestamp;
    use crate::ids::UserId;
    use crate::testing::NOW;

    /// Unlike the real states, one that shows how often an event was applied.
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    struct Tally(Vec<TallyEvent>);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum TallyEvent {
        Opened { at: Timestamp },
        Counted(u32),
    }

    events!(TallyEvent { Opened = "1", Counted = "3" });

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("nothing to count")]
    struct Nothing;

    aggregate!(Tally, "tally", UserId, u32, TallyEvent, Nothing);

    impl Tally {
        fn decide(&self, count: u32, now: Timestamp) -> Result<Vec<TallyEvent>, Nothing> {
            let opened = self.0.is_empty().then_some(TallyEvent::Opened { at: now });
            if count == 0 { Err(Nothing) } else { Ok(opened.into_iter().chain([TallyEvent::Counted(count)]).collect()) }
        }

        fn evolve(&mut self, event: TallyEvent) {
            self.0.push(event);
        }
    }

    fn handled(tally: &mut Tally, count: u32) -> Result<Vec<TallyEvent>, Nothing> {
        let sink = EventSink::default();
        at_once(tally.handle(count, &NOW, &sink)).map(|()| at_once(sink.collect()))
    }

    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("a decision waited for something"),
        }
    }

    #[test]
    fn each_decided_event_is_written_once_and_applied_once_in_order() {
        let mut tally = Tally::default();
        let events = vec![TallyEvent::Opened { at: NOW }, TallyEvent::Counted(2)];
        assert_eq!(handled(&mut tally, 2), Ok(events.clone()));
        assert_eq!(tally, Tally(events.clone()));
        assert_eq!(handled(&mut tally, 3), Ok(vec![TallyEvent::Counted(3)]));
        assert_eq!(tally, Tally([events, vec![TallyEvent::Counted(3)]].concat()));
    }

    #[test]
    fn a_refusal_changes_nothing() {
        let mut tally = Tally::default();
        assert_eq!(handled(&mut tally, 0), Err(Nothing));
        assert_eq!(tally, Tally::default());
    }

    #[test]
    fn events_are_named_and_versioned_as_listed() {
        assert_eq!(TallyEvent::CONTRACTS, [("Opened", "1"), ("Counted", "3")]);
        for (event, (name, version)) in
            [TallyEvent::Opened { at: NOW }, TallyEvent::Counted(1)].iter().zip(TallyEvent::CONTRACTS)
        {
            assert_eq!((event.event_type().as_str(), event.event_version().as_str()), (*name, *version));
        }
    }
}
