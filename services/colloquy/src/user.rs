//! `colloquy user`: accounts, managed by whoever runs the service.

use std::io::{self, Read, Write};

use api::{NewUser, Operator};
use domain::values::Role;

use crate::operating;
use crate::settings::Settings;
use crate::wiring::Failure;

#[derive(clap::Subcommand)]
pub enum UserCommand {
    /// Make an account; its password is made up and shown, unless it comes from the standard input.
    Create {
        /// The user name; not needed where there is an email.
        name: Option<String>,
        #[arg(long)]
        email: Option<String>,
        /// How they want to be called.
        #[arg(long)]
        display_name: Option<String>,
        /// Give them the role of an administrator.
        #[arg(long)]
        admin: bool,
        #[arg(long)]
        password_stdin: bool,
    },
    /// Give somebody a role: auditor or admin.
    Grant { user: String, role: Role },
    /// Take a role from somebody.
    Revoke { user: String, role: Role },
    /// Sign somebody out everywhere, and let them in no more.
    Disable { user: String },
    /// Let somebody in again.
    Enable { user: String },
    /// Give somebody a new password, and sign them out everywhere.
    ResetPassword {
        /// A user name, an email or an id.
        user: String,
        #[arg(long)]
        password_stdin: bool,
    },
}

pub async fn run(settings: &Settings, command: UserCommand) -> Result<(), Failure> {
    let (log, operator) = operating::open(settings).await?;
    let done = act(&operator, command).await;
    log.close().await;
    done
}

async fn act(operator: &Operator, command: UserCommand) -> Result<(), Failure> {
    match command {
        UserCommand::Create { name, email, display_name, admin, password_stdin } => {
            let (password, made_up) = password(password_stdin)?;
            let roles = if admin { vec![Role::Admin] } else { Vec::new() };
            let who = NewUser { username: name, email, name: display_name, roles };
            let id = operator.create_user(who, password.clone()).await?;
            writeln!(io::stdout(), "user {id}")?;
            tell(&password, made_up)?;
        }
        UserCommand::Grant { user, role } => operator.grant(&user, role).await?,
        UserCommand::Revoke { user, role } => operator.revoke(&user, role).await?,
        UserCommand::Disable { user } => operator.disable(&user).await?,
        UserCommand::Enable { user } => operator.enable(&user).await?,
        UserCommand::ResetPassword { user, password_stdin } => {
            let (password, made_up) = password(password_stdin)?;
            operator.reset_password(&user, password.clone()).await?;
            tell(&password, made_up)?;
        }
    }
    Ok(())
}

/// A password, and whether it was made up here.
fn password(from_stdin: bool) -> Result<(String, bool), Failure> {
    if !from_stdin {
        return Ok((crate::secret::fresh_password()?, true));
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok((text.trim_end_matches(['\r', '\n']).to_owned(), false))
}

/// What was made up is shown this once.
fn tell(password: &str, made_up: bool) -> io::Result<()> {
    if made_up { writeln!(io::stdout(), "password {password}") } else { Ok(()) }
}
