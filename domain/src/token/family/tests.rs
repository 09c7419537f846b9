//! Given, when, then: a sign-in's refresh tokens.

use super::*;
use crate::testing::{NOW, given, id};

const LIFETIME: Lifetime = Lifetime { idle_seconds: 700, most_seconds: 1_000 };
const LEEWAY: u32 = 10;

fn digest(number: u8) -> Digest {
    Digest::new([number; 32])
}

fn home() -> Origin {
    Origin { ip: "10.0.0.1".to_owned(), user_agent: "curl/8".to_owned() }
}

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

/// Issued `ago` seconds ago, with the generation 0.
fn issued(ago: i64) -> TokenEvent {
    let refresh = Some(Generation { digest: digest(0), idle_until: at(700 - ago) });
    TokenEvent::TokenIssued { user: id(1), expires_at: at(1_000 - ago), epoch: 0, refresh, from: home() }
}

/// Rotated `ago` seconds ago, to the generation `number`.
fn rotated(number: u8, ago: i64, ends_in: i64) -> TokenEvent {
    let refresh = Generation { digest: digest(number), idle_until: at((700 - ago).min(ends_in)) };
    TokenEvent::TokenRotated { user: id(1), number: number.into(), refresh, at: at(-ago) }
}

fn refresh(number: u8) -> TokenCommand {
    presented(Presented { digest: digest(number), current_seen: Some(at(-11)), allowed: true, leeway_seconds: LEEWAY })
}

fn presented(presented: Presented) -> TokenCommand {
    TokenCommand::Refresh { presented, successor: digest(99), lifetime: LIFETIME, from: home() }
}

fn reused() -> Vec<TokenEvent> {
    let revoked = TokenEvent::TokenRevoked { user: id(1), reason: RevokeReason::Reused };
    vec![TokenEvent::TokenReuseDetected { user: id(1) }, revoked]
}

fn refused(reason: RefuseReason) -> TokenEvent {
    TokenEvent::TokenRefused { user: id(1), reason }
}

#[test]
fn a_sign_in_ends_when_it_is_idle_and_after_its_most_in_any_case() {
    for (idle_seconds, idle_until) in [(700, at(700)), (5_000, at(1_000))] {
        let (user, from) = (id(1), home());
        let lifetime = Lifetime { idle_seconds, ..LIFETIME };
        let refresh = Some(Generation { digest: digest(0), idle_until });
        given::<Token>(vec![])
            .when(TokenCommand::Issue { user, epoch: 3, digest: digest(0), lifetime, from: from.clone() })
            .then_expect_events(vec![TokenEvent::TokenIssued { user, expires_at: at(1_000), epoch: 3, refresh, from }]);
    }
}

#[test]
fn a_token_is_issued_once() {
    let issue = TokenCommand::Issue { user: id(2), epoch: 0, digest: digest(1), lifetime: LIFETIME, from: home() };
    given::<Token>(vec![issued(0)]).when(issue).then_expect_error(TokenError::AlreadyIssued);
}

#[test]
fn the_current_token_is_rotated_and_the_end_stays_where_it_was() {
    let next = Generation { digest: digest(99), idle_until: at(500) };
    given::<Token>(vec![issued(500)]).when(refresh(0)).then_expect_events(vec![TokenEvent::TokenRotated {
        user: id(1),
        number: 1,
        refresh: next,
        at: NOW,
    }]);
}

#[test]
fn the_token_before_has_the_same_successor_within_the_leeway() {
    for ago in [0, 10] {
        given::<Token>(vec![issued(100), rotated(1, ago, 900)]).when(refresh(0)).then_expect_events(vec![]);
    }
    given::<Token>(vec![issued(100), rotated(1, 11, 900)]).when(refresh(0)).then_expect_events(reused());
}

#[test]
fn a_lost_answer_can_be_had_again_until_the_successor_was_used_or_a_day_is_over() {
    let unseen =
        |leeway_seconds| presented(Presented { digest: digest(0), current_seen: None, allowed: true, leeway_seconds });
    let long = |ago: i64| {
        let refresh = Some(Generation { digest: digest(0), idle_until: at(1_000) });
        let issued = TokenEvent::TokenIssued { user: id(1), expires_at: at(1_000), epoch: 0, refresh, from: home() };
        let refresh = Generation { digest: digest(1), idle_until: at(1_000) };
        vec![issued, TokenEvent::TokenRotated { user: id(1), number: 1, refresh, at: at(-ago) }]
    };
    given::<Token>(long(86_400)).when(unseen(0)).then_expect_events(vec![]);
    given::<Token>(long(86_401)).when(unseen(0)).then_expect_events(reused());
    given::<Token>(long(60)).when(refresh(0)).then_expect_events(reused());
}

#[test]
fn whoever_asked_together_with_the_first_user_of_a_successor_gets_it_too() {
    for (seen_ago, events) in [(10, vec![]), (11, reused())] {
        let current_seen = Some(at(-seen_ago));
        let late = Presented { digest: digest(0), current_seen, allowed: true, leeway_seconds: LEEWAY };
        given::<Token>(vec![issued(100), rotated(1, 60, 900)]).when(presented(late)).then_expect_events(events);
    }
}

#[test]
fn a_token_before_the_one_before_is_a_theft_however_soon() {
    let twice = vec![issued(2), rotated(1, 1, 998), rotated(2, 0, 998)];
    given::<Token>(twice).when(refresh(0)).then_expect_events(reused());
}

#[test]
fn what_never_was_a_token_of_it_changes_nothing() {
    given::<Token>(vec![issued(0)]).when(refresh(7)).then_expect_events(vec![]);
    given::<Token>([vec![issued(0)], reused()].concat()).when(refresh(7)).then_expect_events(vec![]);
    given::<Token>(vec![]).when(refresh(0)).then_expect_error(TokenError::NotFound);
}

#[test]
fn an_end_is_noted_once_for_each_reason() {
    for ago in [700, 1_000] {
        let expired = refused(RefuseReason::Expired);
        given::<Token>(vec![issued(ago)]).when(refresh(0)).then_expect_events(vec![expired.clone()]);
        given::<Token>(vec![issued(ago), expired]).when(refresh(0)).then_expect_events(vec![]);
    }
    let ended = [vec![issued(0)], reused()].concat();
    let again = refused(RefuseReason::Revoked);
    given::<Token>(ended.clone()).when(refresh(0)).then_expect_events(vec![again.clone()]);
    given::<Token>([ended, vec![again]].concat()).when(refresh(0)).then_expect_events(vec![]);
}

#[test]
fn a_sign_in_that_its_account_has_ended_is_refused() {
    let ended = Presented { digest: digest(0), current_seen: None, allowed: false, leeway_seconds: LEEWAY };
    given::<Token>(vec![issued(0)]).when(presented(ended)).then_expect_events(vec![refused(RefuseReason::Revoked)]);
}

#[test]
fn another_address_or_program_is_noticed_once_and_refused_nothing() {
    let away = Origin { ip: "10.0.0.2".to_owned(), ..home() };
    let noticed = TokenEvent::TokenAnomalyNoticed { user: id(1), from: away.clone(), was: home() };
    let from_away = |number| {
        let TokenCommand::Refresh { presented, successor, lifetime, from: _ } = refresh(number) else {
            unreachable!("a refresh is one")
        };
        TokenCommand::Refresh { presented, successor, lifetime, from: away.clone() }
    };
    let next = Generation { digest: digest(99), idle_until: at(700) };
    let rotation = TokenEvent::TokenRotated { user: id(1), number: 1, refresh: next, at: NOW };
    given::<Token>(vec![issued(0)]).when(from_away(0)).then_expect_events(vec![noticed.clone(), rotation.clone()]);
    given::<Token>(vec![issued(0), noticed.clone()]).when(from_away(0)).then_expect_events(vec![rotation]);
    given::<Token>(vec![issued(0), rotated(1, 0, 1_000)]).when(from_away(0)).then_expect_events(vec![noticed]);
}

#[test]
fn a_sign_in_is_revoked_once() {
    let revoke = TokenCommand::Revoke { reason: RevokeReason::SignedOut };
    let revoked = TokenEvent::TokenRevoked { user: id(1), reason: RevokeReason::SignedOut };
    given::<Token>(vec![issued(0)]).when(revoke.clone()).then_expect_events(vec![revoked.clone()]);
    given::<Token>(vec![issued(0), revoked]).when(revoke.clone()).then_expect_events(vec![]);
    given::<Token>(vec![]).when(revoke).then_expect_error(TokenError::NotFound);
}
