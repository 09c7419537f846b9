//! The log, for an operator at the machine.

use api::{Operator, Passwords};
use store::Log;

use crate::config::{self, Storage};
use crate::settings::Settings;
use crate::wiring::{self, Failure};

pub async fn open(settings: &Settings) -> Result<(Log, Operator), Failure> {
    let log = Log::open(wiring::open_database(&Storage::of(settings)?).await?);
    let policy = config::passwords(settings)?.at_change();
    let operator = Operator::new(log.clone(), Passwords::default(), policy, config::node(settings));
    Ok((log, operator))
}
