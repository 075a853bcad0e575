//! `hookyard resend`: makes deliveries due again, by hand.

use bytes::Bytes;
use clap::Args;
use serde_json::Value;

use super::access::Access;
use super::client::{Client, Options};
use super::failure::Failure;
use super::output;

/// Send a message again, to one endpoint or to every one that did not get it.
#[derive(Debug, Args)]
pub(crate) struct Resend {
    /// The application, by id or uid.
    app: String,
    /// The message, by id or event id.
    message: String,
    /// The endpoint, by id or uid; without it, every endpoint whose delivery failed or was cancelled.
    endpoint: Option<String>,
    #[command(flatten)]
    access: Access,
}

impl Resend {
    /// Asks the server for it.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut client = self.access.client()?;
        let endpoints = match &self.endpoint {
            Some(endpoint) => vec![endpoint.clone()],
            None => self.undelivered(&mut client).await?,
        };
        if endpoints.is_empty() {
            return output::line("nothing to resend: no delivery of this message failed or was cancelled");
        }
        for endpoint in endpoints {
            let path = ["app", &self.app, "msg", &self.message, "endpoint", &endpoint, "resend"];
            client.post(&path, Bytes::new(), &Options::default()).await?;
            output::line(&format!("{} is due again for {endpoint}", self.message))?;
        }
        Ok(())
    }

    async fn undelivered(&self, client: &mut Client) -> Result<Vec<String>, Failure> {
        let list = client.get(&["app", &self.app, "msg", &self.message, "delivery"], &[]).await?.json()?;
        let given_up = |delivery: &&Value| matches!(delivery["state"].as_str(), Some("failed" | "cancelled"));
        let deliveries = list["data"].as_array().map(Vec::as_slice).unwrap_or_default().iter().filter(given_up);
        Ok(deliveries.filter_map(|delivery| delivery["endpointId"].as_str().map(str::to_owned)).collect())
    }
}
