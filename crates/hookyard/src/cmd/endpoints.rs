//! `hookyard endpoints`: shows an application's endpoints and switches them on and off.

use bytes::Bytes;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::access::Access;
use super::client::Options;
use super::failure::Failure;
use super::output::{self, Table};
use super::page;

/// Show endpoints, or switch one on or off.
#[derive(Debug, Subcommand)]
pub(crate) enum Endpoints {
    /// List an application's endpoints.
    List(List),
    /// Deliver to an endpoint again; its failures are counted from scratch.
    Enable(Switch),
    /// Hold an endpoint's deliveries; what is accepted meanwhile owes it nothing.
    Disable(Switch),
}

/// Which application's.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The application, by id or uid.
    app: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Which endpoint.
#[derive(Debug, Args)]
pub(crate) struct Switch {
    /// The application, by id or uid.
    app: String,
    /// The endpoint, by id or uid.
    endpoint: String,
    #[command(flatten)]
    access: Access,
}

impl Endpoints {
    /// Asks the server for it.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Enable(switch) => switch.run("enable").await,
            Self::Disable(switch) => switch.run("disable").await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let mut client = self.access.client()?;
        let path = ["app", &self.app, "endpoint"];
        let endpoints = page::all(&mut client, &path, &[("order", "ascending")], usize::MAX).await?;
        if self.json {
            return output::json(&endpoints);
        }
        let mut table = Table::new(["ID", "UID", "NAME", "STATUS", "DIALECT", "EVENT TYPES", "URL"]);
        for endpoint in &endpoints {
            let text = |name: &str| endpoint[name].as_str().unwrap_or("-");
            let status = if endpoint["disabled"] == Value::Bool(true) {
                format!("disabled ({})", text("disabledReason"))
            } else if endpoint["failingSince"].is_string() {
                "failing".to_owned()
            } else {
                "enabled".to_owned()
            };
            let types = endpoint["eventTypes"].as_array().map_or_else(|| "all".to_owned(), |types| joined(types));
            table.row([text("id"), text("uid"), text("name"), &status, text("dialect"), &types, text("url")]);
        }
        output::bytes(table.render().as_bytes())
    }
}

impl Switch {
    async fn run(self, deed: &str) -> Result<(), Failure> {
        let mut client = self.access.client()?;
        let path = ["app", &self.app, "endpoint", &self.endpoint, deed];
        client.post(&path, Bytes::new(), &Options::default()).await?;
        output::line(&format!("{} is {deed}d", self.endpoint))
    }
}

fn joined(texts: &[Value]) -> String {
    texts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}
