//! `hookyard messages`: what was accepted, and what became of it.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::access::Access;
use super::client::Client;
use super::failure::Failure;
use super::output::{self, Table};
use super::page;

/// Show messages and what became of them.
#[derive(Debug, Subcommand)]
pub(crate) enum Messages {
    /// List an application's messages, the newest first.
    List(List),
    /// Show a message, its deliveries and its attempts.
    Show(One),
    /// Say why each endpoint got a message, or did not.
    Explain(One),
    /// Write a message's payload, byte for byte.
    Raw(Raw),
}

/// Which messages.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The application, by id or uid.
    app: String,
    /// Only of this event type; may be repeated.
    #[arg(long, value_name = "TYPE")]
    event_type: Vec<String>,
    /// Only on this channel.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Accepted before this time.
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Accepted at or after this time.
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// How many.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Print JSON, payloads included.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Which message.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The application, by id or uid.
    app: String,
    /// The message, by id or event id.
    message: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    access: Access,
}

/// Which message.
#[derive(Debug, Args)]
pub(crate) struct Raw {
    /// The application, by id or uid.
    app: String,
    /// The message, by id or event id.
    message: String,
    #[command(flatten)]
    access: Access,
}

impl Messages {
    /// Asks the server and prints.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Show(one) => one.show().await,
            Self::Explain(one) => one.explain().await,
            Self::Raw(raw) => raw.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let mut client = self.access.client()?;
        let mut query: Vec<(&str, &str)> = self.event_type.iter().map(|text| ("event_types", text.as_str())).collect();
        query.extend(self.channel.as_deref().map(|text| ("channel", text)));
        query.extend(self.before.as_deref().map(|text| ("before", text)));
        query.extend(self.after.as_deref().map(|text| ("after", text)));
        let path = ["app", &self.app, "msg"];
        if self.json {
            return output::json(&page::as_they_are(&mut client, &path, &query, self.limit).await?);
        }
        query.push(("with_content", "false"));
        let messages = page::all(&mut client, &path, &query, self.limit).await?;
        let mut table = Table::new(["ID", "EVENT TYPE", "ACCEPTED", "ORIGIN", "EVENT ID"]);
        for message in &messages {
            let cells = ["id", "eventType", "timestamp", "origin", "eventId"].map(|name| text(message, name));
            table.row(cells);
        }
        output::bytes(table.render().as_bytes())
    }
}

impl One {
    async fn show(self) -> Result<(), Failure> {
        let mut client = self.access.client()?;
        let answer = client.get(&["app", &self.app, "msg", &self.message], &[]).await?;
        let message: Members<'_> = answer.read()?;
        let deliveries = self.get(&mut client, "delivery").await?["data"].take();
        let id = member(&message, "id").unwrap_or_else(|| self.message.clone());
        let path = ["app", &self.app, "msg", &id, "attempt"];
        let attempts = page::all(&mut client, &path, &[("with_content", "false")], usize::MAX).await?;
        if self.json {
            return output::json(&Shown { message: answer.read()?, deliveries, attempts });
        }
        output::line(&format!("message     {}", output::plain(&id)))?;
        for (label, name) in [
            ("event type", "eventType"),
            ("event id", "eventId"),
            ("event time", "eventTime"),
            ("accepted", "timestamp"),
            ("deliver at", "deliverAt"),
            ("origin", "origin"),
        ] {
            if let Some(value) = member(&message, name) {
                output::line(&format!("{label:<11} {}", output::plain(&value)))?;
            }
        }
        output::line(&format!("payload     {}", self.payload(&mut client, &message).await?))?;
        output::line("")?;
        output::bytes(deliveries_table(&deliveries, &attempts).render().as_bytes())?;
        output::line("")?;
        output::bytes(attempts_table(&attempts, &deliveries).render().as_bytes())
    }

    async fn explain(self) -> Result<(), Failure> {
        let mut client = self.access.client()?;
        let explained = self.get(&mut client, "explain").await?;
        if self.json {
            return output::json(&explained);
        }
        output::line(&format!("{} {}", text(&explained, "msgId"), text(&explained, "summary")))?;
        let mut table = Table::new(["ENDPOINT", "DECISION", "WHY", "STATE", "AND THAT IS"]);
        for endpoint in explained["endpoints"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let name = named(endpoint);
            let (state, why) = (text(&endpoint["delivery"], "state"), text(&endpoint["delivery"], "why"));
            table.row([name, text(endpoint, "decision"), text(endpoint, "why"), state, why]);
        }
        output::bytes(table.render().as_bytes())
    }

    /// The payload as it came: what JSON readers make of numbers is not what was sent.
    async fn payload(&self, client: &mut Client, message: &Members<'_>) -> Result<String, Failure> {
        if message.get("payload").is_some_and(|payload| payload.get() == r#"{"expired":true}"#) {
            return Ok("(expunged)".to_owned());
        }
        let path = ["app", &self.app, "msg", &self.message, "raw"];
        let bytes = client.get(&path, &[]).await?.body;
        Ok(match std::str::from_utf8(&bytes) {
            Ok(text) => output::plain(text),
            Err(_) => format!("({} bytes that are not text)", bytes.len()),
        })
    }

    async fn get(&self, client: &mut Client, part: &str) -> Result<Value, Failure> {
        client.get(&["app", &self.app, "msg", &self.message, part], &[]).await?.json()
    }
}

impl Raw {
    async fn run(self) -> Result<(), Failure> {
        let mut client = self.access.client()?;
        let answer = client.get(&["app", &self.app, "msg", &self.message, "raw"], &[]).await?;
        output::bytes(&answer.body)
    }
}

/// A message's members, each as the JSON that it is.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// A member that is a text.
fn member(members: &Members<'_>, name: &str) -> Option<String> {
    serde_json::from_str(members.get(name)?.get()).ok()
}

/// Everything about a message, for programs.
#[derive(Serialize)]
struct Shown<'a> {
    message: &'a RawValue,
    deliveries: Value,
    attempts: Vec<Value>,
}

/// Every request that was made counts as an attempt; charged are those that took from the schedule of this round.
fn deliveries_table(deliveries: &Value, attempts: &[Value]) -> Table {
    let mut table = Table::new(["ENDPOINT", "STATE", "ATTEMPTS", "CHARGED", "ROUND", "DUE", "REASON"]);
    for delivery in deliveries.as_array().map(Vec::as_slice).unwrap_or_default() {
        let (id, name) = (text(delivery, "endpointId"), named(delivery));
        let made = attempts.iter().filter(|attempt| text(attempt, "endpointId") == id).count().to_string();
        let (charged, round) = (delivery["charged"].to_string(), delivery["round"].to_string());
        let (due, reason) = (text(delivery, "due"), text(delivery, "reason"));
        table.row([name, text(delivery, "state"), &made, &charged, &round, due, reason]);
    }
    table
}

fn attempts_table(attempts: &[Value], deliveries: &Value) -> Table {
    let deliveries = deliveries.as_array().map(Vec::as_slice).unwrap_or_default();
    let endpoint = |id| deliveries.iter().find(|delivery| text(delivery, "endpointId") == id).map_or(id, named);
    let mut table = Table::new(["ATTEMPT", "ENDPOINT", "STARTED", "OUTCOME", "STATUS", "TOOK", "DETAIL"]);
    for attempt in attempts {
        let status = match attempt["responseStatusCode"].as_u64() {
            Some(0) | None => "-".to_owned(),
            Some(status) => status.to_string(),
        };
        let took = format!("{} ms", attempt["responseDurationMs"]);
        table.row([
            text(attempt, "id"),
            endpoint(text(attempt, "endpointId")),
            text(attempt, "timestamp"),
            text(attempt, "outcome"),
            &status,
            &took,
            text(attempt, "detail"),
        ]);
    }
    table
}

/// What people know the endpoint of a delivery or of a decision by.
fn named(value: &Value) -> &str {
    value["endpointName"].as_str().unwrap_or_else(|| text(value, "endpointId"))
}

/// A member that is a text, `-` when it is none.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or("-")
}
