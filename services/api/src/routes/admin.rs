//! `/api/v1/users/{user}`: what administrators do with accounts. `{user}` is an id, a user name or an email.

use axum::Json;
use axum::extract::{Path, State};
use domain::ids::UserId;
use domain::token::notice::NoticeEvent;
use domain::user::{User, UserCommand};
use domain::values::Role;

use super::me::UserView;
use super::positioned::NoContent;
use crate::app::App;
use crate::caller::Caller;
use crate::commands::{self, ChangeUser, Note};
use crate::problem::Problem;

pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(user): Path<String>,
) -> Result<Json<UserView>, Problem> {
    let id = find(&app, &user).await?;
    let user = UserView::of(id, &app.executor.look::<User>(id).await?).ok_or(Problem::NoSuchUser)?;
    if id != caller.user {
        let read = NoticeEvent::AuditRead { by: caller.user, of: Some(id), export: false };
        app.executor.execute(&Note(read), caller.metadata).await?;
    }
    Ok(Json(user))
}

pub(super) async fn disable(state: State<App>, caller: Caller, user: Path<String>) -> Result<NoContent, Problem> {
    change(&state, caller, &user, UserCommand::Disable).await
}

pub(super) async fn enable(state: State<App>, caller: Caller, user: Path<String>) -> Result<NoContent, Problem> {
    change(&state, caller, &user, UserCommand::Enable).await
}

type UserAndRole = Path<(String, String)>;

pub(super) async fn grant(state: State<App>, caller: Caller, path: UserAndRole) -> Result<NoContent, Problem> {
    let Path((user, role)) = path;
    change(&state, caller, &user, UserCommand::Grant(parse(&role)?)).await
}

pub(super) async fn revoke(state: State<App>, caller: Caller, path: UserAndRole) -> Result<NoContent, Problem> {
    let Path((user, role)) = path;
    change(&state, caller, &user, UserCommand::Revoke(parse(&role)?)).await
}

fn parse(role: &str) -> Result<Role, Problem> {
    role.parse().map_err(|_| Problem::NoSuchRoute)
}

async fn find(app: &App, user: &str) -> Result<UserId, Problem> {
    commands::find_user(&app.executor, user).await?.ok_or(Problem::NoSuchUser)
}

async fn change(app: &App, caller: Caller, user: &str, command: UserCommand) -> Result<NoContent, Problem> {
    let (user, by) = (find(app, user).await?, caller.user);
    let done = app.executor.execute(&ChangeUser { user, command }, caller.metadata).await?;
    app.end_all(user, &done.output).await;
    app.own_writes.note(by, done.position);
    Ok(NoContent(done.position))
}
