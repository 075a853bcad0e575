//! `hookyard token`: prints an API token.

use clap::Args;
use hookyard_model::ApplicationId;
use hookyard_ports::{Clock as _, SystemClock};

use super::access::Access;
use super::failure::Failure;
use super::output;

/// Print an API token (JWT, HS256) made from the server's key.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// Speak for this application alone; a uid is looked up on the server. Good for 28 days instead of ten years.
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    #[command(flatten)]
    access: Access,
}

impl Token {
    /// Prints the token.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let application = match &self.app {
            None => None,
            Some(text) => match text.parse::<ApplicationId>() {
                Ok(id) => Some(id),
                Err(_) => Some(self.look_up(text).await?),
            },
        };
        let keys = &self.access.keys;
        let now = SystemClock::new().now();
        output::line(&hookyard_server::mint_token(&keys.secret()?, keys.organisation(), application, now))
    }

    async fn look_up(&self, uid: &str) -> Result<ApplicationId, Failure> {
        let found = self.access.client()?.get(&["app", uid], &[]).await?.json()?;
        let id = found["id"].as_str().and_then(|id| id.parse().ok());
        id.ok_or_else(|| Failure::Server(format!("the server's answer has no id of the application `{uid}`")))
    }
}
