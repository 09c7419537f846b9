//! The real binary on an engine: a node that serves, and the subcommands beside it.

use std::ffi::OsStr;
use std::process::Output;

use reqwest::{Client, Method, RequestBuilder};

use crate::process::{Builder, Colloquy};
use crate::stage::{Play, Stage};

/// A node and its engine. Fields go in order: the node before what it stands on.
pub struct Service {
    pub node: Colloquy,
    pub binary: Builder,
    pub stage: Stage,
    client: Client,
}

pub const SECRET: &str = "a secret that is good for tests alone";

impl Play for Service {
    async fn on(stage: Stage) -> Self {
        Self::start(stage, &[]).await
    }
}

impl Service {
    /// Starts a node on a stage, with these settings beside what each engine needs; nobody is slowed down, and there is
    /// nobody but whom the test makes.
    pub async fn start(stage: Stage, settings: &[(&str, &str)]) -> Self {
        let mut binary = stage.binary().unlimited().env("SECRET_KEY", SECRET).env("COLLOQUY_DEV_ADMIN", "false");
        if let Some(nats) = &stage.nats {
            binary = binary.env("NATS_URL", nats.url());
        }
        for (name, value) in settings {
            binary = binary.env(name, value);
        }
        let node = binary.start().await;
        Self { node, binary, stage, client: Client::new() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.node.url()))
    }

    /// Runs a subcommand to its good end, and gives what it printed.
    pub async fn operate<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let output = self.binary.run(args).await;
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Waits until the read models have the whole log.
    pub async fn settle(&self) {
        for model in self.stage.read_models().await.all() {
            self.stage.settle(model).await;
        }
    }
}

/// Both outputs of a subcommand.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
