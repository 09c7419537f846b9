use super::*;
use crate::testing::{given, id, parsed};

fn ada() -> UserId {
    id(1)
}

fn bob() -> UserId {
    id(2)
}

fn start(owner: UserId) -> ConversationCommand {
    ConversationCommand::Start { owner, features: Features::default() }
}

fn open() -> Vec<ConversationEvent> {
    vec![ConversationEvent::ConversationStarted { owner: ada(), features: Features::default() }]
}

fn open_and(event: ConversationEvent) -> Vec<ConversationEvent> {
    [open(), vec![event]].concat()
}

fn deleted() -> Vec<ConversationEvent> {
    open_and(ConversationEvent::ConversationDeleted { owner: ada() })
}

fn change(wanted: Changes) -> ConversationCommand {
    ConversationCommand::Change { by: ada(), wanted }
}

fn all() -> Changes {
    Changes { name: Naming::To(parsed("Travel")), favourite: Some(true), archived: Some(true) }
}

#[test]
fn anybody_starts_a_conversation() {
    let features = Features { name: Some(parsed("Travel")), favourite: true, archived: false };
    given::<Conversation>(vec![])
        .when(ConversationCommand::Start { owner: ada(), features: features.clone() })
        .then_expect_events(vec![ConversationEvent::ConversationStarted { owner: ada(), features }]);
}

#[test]
fn a_conversation_is_started_once() {
    for history in [open(), deleted()] {
        for owner in [ada(), bob()] {
            given::<Conversation>(history.clone())
                .when(start(owner))
                .then_expect_error(ConversationError::AlreadyStarted);
        }
    }
}

#[test]
fn its_owner_enters_and_nothing_happens() {
    given::<Conversation>(open()).when(ConversationCommand::Enter { by: ada() }).then_expect_events(vec![]);
}

#[test]
fn each_feature_changes_by_itself_and_all_do_together() {
    let owner = ada();
    let events = [
        ConversationEvent::ConversationRenamed { owner, name: parsed("Travel") },
        ConversationEvent::ConversationFavourited { owner },
        ConversationEvent::ConversationArchived { owner },
    ];
    let Changes { name, favourite, archived } = all();
    let nothing = Changes::default;
    let alone = [Changes { name, ..nothing() }, Changes { favourite, ..nothing() }, Changes { archived, ..nothing() }];
    for (wanted, event) in alone.into_iter().zip(events.clone()) {
        given::<Conversation>(open()).when(change(wanted)).then_expect_events(vec![event]);
    }
    given::<Conversation>(open()).when(change(all())).then_expect_events(events.to_vec());
}

#[test]
fn what_is_so_already_does_not_happen_again() {
    let owner = ada();
    let features = Features { name: Some(parsed("Travel")), favourite: true, archived: true };
    let so = vec![ConversationEvent::ConversationStarted { owner, features }];
    given::<Conversation>(so.clone()).when(change(all())).then_expect_events(vec![]);
    let back = Changes { favourite: Some(false), archived: Some(false), name: Naming::TakenBack };
    given::<Conversation>(so).when(change(back.clone())).then_expect_events(vec![
        ConversationEvent::ConversationUnnamed { owner },
        ConversationEvent::ConversationUnfavourited { owner },
        ConversationEvent::ConversationRestored { owner },
    ]);
    given::<Conversation>(open()).when(change(back)).then_expect_events(vec![]);
}

#[test]
fn a_title_is_given_once_and_never_over_a_name_and_what_it_took_is_told() {
    let (owner, title) = (ada(), parsed::<ConversationName>("About travel"));
    let (model, usage) = ("fake/one".to_owned(), Usage::default());
    let titled = ConversationEvent::ConversationTitled { owner, title: title.clone(), model: model.clone(), usage };
    let wasted = || vec![ConversationEvent::TitleWasted { owner, model: model.clone(), usage }];
    let give = |title| ConversationCommand::Title { title, model: model.clone(), usage };
    let title = Some(title);
    given::<Conversation>(open()).when(give(title.clone())).then_expect_events(vec![titled.clone()]);
    given::<Conversation>(open()).when(give(None)).then_expect_events(wasted());
    given::<Conversation>(open_and(titled)).when(give(title.clone())).then_expect_events(wasted());
    let renamed = ConversationEvent::ConversationRenamed { owner, name: parsed("Travel") };
    let named = open_and(renamed);
    given::<Conversation>(named.clone()).when(give(title.clone())).then_expect_events(wasted());
    let unnamed = [named, vec![ConversationEvent::ConversationUnnamed { owner }]].concat();
    let given_back =
        ConversationEvent::ConversationTitled { owner, title: parsed("About travel"), model: model.clone(), usage };
    given::<Conversation>(unnamed).when(give(title.clone())).then_expect_events(vec![given_back]);
    given::<Conversation>(deleted()).when(give(title)).then_expect_error(ConversationError::NotFound);
}

/// What comes of itself, or only shows another part, is no reason to refuse what its owner wants.
#[test]
fn a_version_counts_what_its_owner_made_of_it_alone() {
    let (owner, model, usage) = (ada(), "m".to_owned(), Usage::default());
    let version = |events: Vec<ConversationEvent>| {
        let mut state = Conversation::default();
        for event in events {
            state.evolve(event);
        }
        state.version()
    };
    assert_eq!((version(vec![]), version(open()), version(deleted())), (None, Some(1), None));
    for (event, counts) in [
        (ConversationEvent::ConversationRenamed { owner, name: parsed("Travel") }, true),
        (ConversationEvent::ConversationUnnamed { owner }, true),
        (ConversationEvent::ConversationFavourited { owner }, true),
        (ConversationEvent::ConversationUnfavourited { owner }, true),
        (ConversationEvent::ConversationArchived { owner }, true),
        (ConversationEvent::ConversationRestored { owner }, true),
        (ConversationEvent::ConversationTitled { owner, title: parsed("Travel"), model: model.clone(), usage }, false),
        (ConversationEvent::TitleWasted { owner, model, usage }, false),
        (ConversationEvent::BranchChosen { owner, through: id(7) }, false),
        (ConversationEvent::ConversationImported { owner, kept: kept() }, false),
    ] {
        assert_eq!(version(open_and(event.clone())), Some(1 + i64::from(counts)), "{event:?}");
    }
}

#[test]
fn its_owner_chooses_a_branch() {
    given::<Conversation>(open())
        .when(ConversationCommand::ChooseBranch { by: ada(), through: id(7) })
        .then_expect_events(vec![ConversationEvent::BranchChosen { owner: ada(), through: id(7) }]);
}

fn kept() -> Kept {
    Kept {
        title: Some(parsed("Travel")),
        digest: Digest::new([7; 32]),
        created_at: Timestamp::from_micros(1),
        updated_at: Timestamp::from_micros(2),
    }
}

/// Nor does anything give it another title then.
#[test]
fn it_is_imported_once() {
    let imported = ConversationEvent::ConversationImported { owner: ada(), kept: kept() };
    let import = || ConversationCommand::Import { by: ada(), kept: kept() };
    given::<Conversation>(open()).when(import()).then_expect_events(vec![imported.clone()]);
    given::<Conversation>(open_and(imported.clone())).when(import()).then_expect_events(vec![]);
    let (owner, model, usage) = (ada(), "m".to_owned(), Usage::default());
    let title = ConversationCommand::Title { title: Some(parsed("Another")), model: model.clone(), usage };
    given::<Conversation>(open_and(imported)).when(title).then_expect_events(vec![ConversationEvent::TitleWasted {
        owner,
        model,
        usage,
    }]);
}

#[test]
fn its_owner_deletes_it() {
    given::<Conversation>(open())
        .when(ConversationCommand::Delete { by: ada() })
        .then_expect_events(vec![ConversationEvent::ConversationDeleted { owner: ada() }]);
}

/// Nobody may learn whether a conversation exists that is not theirs.
#[test]
fn never_started_foreign_and_deleted_look_the_same() {
    for (history, by) in [(vec![], ada()), (open(), bob()), (deleted(), ada()), (deleted(), bob())] {
        let commands = [
            ConversationCommand::Enter { by },
            ConversationCommand::Change { by, wanted: all() },
            ConversationCommand::ChooseBranch { by, through: id(7) },
            ConversationCommand::Import { by, kept: kept() },
            ConversationCommand::Delete { by },
        ];
        for command in commands {
            given::<Conversation>(history.clone()).when(command).then_expect_error(ConversationError::NotFound);
        }
    }
}
