//! The people around one sign-in: its owner, who is honest, and a thief.

use domain::Timestamp;
use domain::token::family::{LOST_SECONDS, Origin, Verdict};
use proptest::{prop_assert, prop_assert_eq};

use crate::server::{Answer, Held, Phase, Rules, Server};
use crate::{Action, Step};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Owner,
    Thief,
}

#[derive(Debug, Default)]
struct Person {
    /// What they have received or copied, oldest first.
    tokens: Vec<Held>,
    /// The access tokens that they have: of which generation, and when it was made.
    accesses: Vec<(u32, Timestamp)>,
    /// The newest generation of which they have used an access token.
    used: Option<u32>,
}

#[derive(Debug)]
struct Request {
    by: Who,
    held: Held,
    lost: bool,
    phase: Phase,
    /// What must come of it, as things stood when it was judged last.
    must: Must,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Succeed,
    Fail(Verdict),
    /// Both have the newest token, or nobody has gone on for long: either is right.
    Whatever,
}

#[derive(Debug)]
pub struct Walk {
    pub server: Server,
    owner: Person,
    thief: Person,
    requests: Vec<Request>,
    /// When the first of the requests was sent.
    since: Timestamp,
    /// The thief has shown what they stole.
    stolen: bool,
    /// The successor that was given for each generation.
    given: Vec<Held>,
}

impl Walk {
    pub fn new(rules: Rules) -> Self {
        let server = Server::new(rules);
        let first = Held { number: 0, digest: server.chain.first().unwrap().0 };
        let owner = Person { tokens: vec![first], accesses: vec![(0, server.now)], used: None };
        let since = server.now;
        let (thief, requests, stolen, given) = Default::default();
        Self { server, owner, thief, requests, since, stolen, given }
    }

    pub fn take(&mut self, action: &Action) -> Step {
        match *action {
            Action::Wait(micros) => self.wait(micros)?,
            Action::Send { lost } => self.send(Who::Owner, lost),
            Action::Advance(which) if !self.requests.is_empty() => self.advance(which % self.requests.len())?,
            Action::Abandon(which) if !self.requests.is_empty() => {
                self.requests.remove(which % self.requests.len());
            }
            Action::Finish => self.finish()?,
            Action::Use(back) => self.access(Who::Owner, back)?,
            Action::LogOut => self.server.log_out(),
            Action::ChangePassword { here } if !here || self.is_signed_in() => self.server.change_password(here),
            Action::Advance(_) | Action::Abandon(_) | Action::ChangePassword { .. } => {}
            Action::Steal(back) => self.steal(back),
            Action::ThiefSends { lost } => self.send(Who::Thief, lost),
            Action::ThiefUses(back) => self.access(Who::Thief, back)?,
            Action::Garbage => self.garbage()?,
            Action::Sweep => self.server.sweep(),
        }
        self.the_end_never_moves()
    }

    fn person(&mut self, who: Who) -> &mut Person {
        match who {
            Who::Owner => &mut self.owner,
            Who::Thief => &mut self.thief,
        }
    }

    fn is_signed_in(&self) -> bool {
        !self.server.is_revoked() && self.server.is_allowed() && !self.server.has_expired()
    }

    /// Requests in parallel are handled within the leeway.
    fn wait(&mut self, micros: i64) -> Step {
        let later = Timestamp::from_micros(self.server.now.as_micros() + micros);
        if later > self.since.plus_seconds(self.server.rules.leeway.into()) {
            self.finish()?;
        }
        self.server.now = later;
        Ok(())
    }

    /// Shows the newest token. The owner uses a new one only when no request with the one before is on its way.
    fn send(&mut self, by: Who, lost: bool) {
        let Some(held) = self.person(by).tokens.last().copied() else { return };
        if by == Who::Owner && self.requests.iter().any(|request| request.by == by && request.held != held) {
            return;
        }
        if self.requests.is_empty() {
            self.since = self.server.now;
        }
        self.stolen |= by == Who::Thief;
        self.requests.push(Request { by, held, lost, phase: Phase::Sent, must: Must::Whatever });
    }

    pub fn finish(&mut self) -> Step {
        while !self.requests.is_empty() {
            self.advance(0)?;
        }
        Ok(())
    }

    fn advance(&mut self, which: usize) -> Step {
        let mut request = self.requests.remove(which);
        if matches!(request.phase, Phase::Sent) {
            request.must = self.must(request.by, request.held);
        }
        let ip = format!("{:?}", request.by);
        let from = Origin { ip, user_agent: String::new() };
        let answer = self.server.step(&mut request.phase, request.held.digest, &from)?;
        if let Some(answer) = answer {
            return self.answered(&request, answer);
        }
        self.requests.insert(which, request);
        Ok(())
    }

    /// What the rules promise, said of people and not of the server's state.
    fn must(&self, by: Who, held: Held) -> Must {
        let server = &self.server;
        let within = |at: Timestamp, seconds: u32| server.now <= at.plus_seconds(seconds.into());
        let other = match by {
            Who::Owner => &self.thief,
            Who::Thief => &self.owner,
        };
        if server.is_revoked() || !server.is_allowed() {
            Must::Fail(Verdict::Revoked)
        } else if server.has_expired() {
            Must::Fail(Verdict::Expired)
        } else if !self.stolen {
            let came_back_too_late = held.number < server.number() && !within(server.rotated_at(), LOST_SECONDS);
            if came_back_too_late { Must::Fail(Verdict::Reused) } else { Must::Succeed }
        } else {
            let other_went_on = other.used.is_some_and(|used| used > held.number);
            let rotated = server.chain.get(held.number as usize + 1).map(|(_, at)| *at);
            let long_ago = rotated.is_some_and(|at| !within(at, server.rules.leeway));
            if other_went_on && long_ago && server.is_seen(held.number + 1) {
                Must::Fail(Verdict::Reused)
            } else {
                Must::Whatever
            }
        }
    }

    fn answered(&mut self, request: &Request, answer: Answer) -> Step {
        match (request.must, answer) {
            (Must::Succeed, answer) => prop_assert!(matches!(answer, Answer::Tokens(_)), "{:?} {:?}", request, answer),
            (Must::Fail(why), answer) => prop_assert_eq!(answer, Answer::Refused(why), "{:?}", request),
            (Must::Whatever, _) => {}
        }
        if answer == Answer::Refused(Verdict::Reused) {
            prop_assert!(self.server.is_revoked(), "a theft was seen, and the sign-in goes on");
        }
        if let Answer::Tokens(successor) = answer {
            self.one_successor(request.held, successor)?;
            if !request.lost {
                let now = self.server.now;
                let person = self.person(request.by);
                person.tokens.push(successor);
                person.accesses.push((successor.number, now));
            }
        }
        Ok(())
    }

    fn one_successor(&mut self, of: Held, successor: Held) -> Step {
        prop_assert_eq!(successor.number, of.number + 1);
        let at = of.number as usize;
        prop_assert!(at <= self.given.len());
        if at == self.given.len() {
            self.given.push(successor);
        }
        prop_assert_eq!(self.given.get(at), Some(&successor), "another successor of {:?}", of);
        let digest = self.server.chain.get(at + 1).map(|(digest, _)| *digest);
        prop_assert_eq!(digest, Some(successor.digest), "the successor is not the next of the sign-in");
        Ok(())
    }

    fn access(&mut self, by: Who, back: usize) -> Step {
        let Some((number, issued)) = self.person(by).accesses.iter().rev().nth(back).copied() else { return Ok(()) };
        let (revoked, fresh) = (self.server.is_revoked(), self.server.now < issued.plus_seconds(900));
        let good = self.server.access(number, issued);
        prop_assert!(!good || !revoked, "an access token of a sign-in that is over");
        let owners = !self.stolen && by == Who::Owner && self.is_signed_in() && fresh;
        prop_assert!(good || !owners, "an owner's access token was refused");
        if good {
            let person = self.person(by);
            person.used = person.used.max(Some(number));
        }
        Ok(())
    }

    /// The newest token that the owner has, or an earlier one.
    fn steal(&mut self, back: usize) {
        self.thief.tokens.extend(self.owner.tokens.iter().rev().nth(back).copied());
    }

    fn garbage(&mut self) -> Step {
        let (before, digest, mut phase) = (self.server.token.clone(), self.server.secret(), Phase::Sent);
        let answer = loop {
            if let Some(answer) = self.server.step(&mut phase, digest, &Origin::default())? {
                break answer;
            }
        };
        prop_assert_eq!(answer, Answer::Refused(Verdict::Unknown));
        prop_assert_eq!(&self.server.token, &before);
        Ok(())
    }

    /// Whether somebody holds, has used, and can go on with the newest generation, the first apart.
    pub fn has_gone_on(&self) -> bool {
        let used = self.owner.used.max(self.thief.used);
        self.is_signed_in() && self.server.number() > 0 && used == Some(self.server.number())
    }

    /// Whether nobody can go on.
    pub fn is_over(&self) -> bool {
        !self.is_signed_in()
    }

    fn the_end_never_moves(&self) -> Step {
        if let Some(family) = self.server.token.active() {
            let most = self.server.rules.lifetime.most_seconds;
            prop_assert_eq!(family.expires_at, self.server.issued_at().plus_seconds(most.into()));
        }
        Ok(())
    }
}
