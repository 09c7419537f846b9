//! A name and a password for an access token, and nothing else: S0 asks by a form, S4 in JSON.

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::extract::Context;
use crate::problem::{Fields, Problem};
use crate::routes::positioned::{Done, Secret};
use crate::routes::sign_in;

#[derive(Deserialize)]
pub(crate) struct NameAndPassword {
    username: Option<String>,
    password: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Token {
    access_token: String,
    token_type: &'static str,
}

impl NameAndPassword {
    pub(super) async fn sign_in(self, app: &App, context: Context) -> Result<Secret<Done<Token>>, Problem> {
        let mut fields = Fields::default();
        let username = fields.need("username", self.username, Ok);
        let password = fields.need("password", self.password, Ok);
        let (Some(username), Some(password)) = (username, password) else { return Err(fields.into_problem()) };
        let (access_token, _, position) = sign_in::brief(app, context, &username, password).await?;
        Ok(Secret(Done(position, Token { access_token, token_type: "bearer" })))
    }
}
