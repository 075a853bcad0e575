//! How a command reaches the running server: which one, and with which token.
//!
//! Flattened into every command that talks to a server. Without a token, one is made from the key in the data directory,
//! so that commands on the server's own machine need no setup.

use std::path::PathBuf;

use clap::Args;
use hookyard_model::{OrganisationId, Secret};
use hookyard_ports::{Clock as _, SystemClock};

use super::client::Client;
use super::failure::Failure;
use crate::config::{self, Environment, Flags, key};
use crate::key_file::KeyFile;

/// Which server, and with which token.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Access {
    /// The server's address.
    #[arg(long, env = "HOOKYARD_SERVER", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) server: String,
    /// An API token; by default one is made from the key in the data directory.
    #[arg(long, env = "HOOKYARD_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    #[command(flatten)]
    pub(crate) keys: KeySource,
}

/// Where the key that signs tokens is.
#[derive(Debug, Args)]
pub(crate) struct KeySource {
    /// The server's configuration file, for its `data` and `jwt_secret`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The server's data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The organisation to speak for.
    #[arg(long, value_name = "ORG")]
    pub(crate) org: Option<OrganisationId>,
}

impl Access {
    /// A client of the server.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let token = match &self.token {
            Some(token) => Secret::new(token.clone()),
            None => self.keys.organisation_token()?,
        };
        Client::new(&self.server, &token)
    }
}

impl KeySource {
    /// A token that speaks for the organisation.
    pub(crate) fn organisation_token(&self) -> Result<Secret<String>, Failure> {
        let token = hookyard_server::mint_token(&self.secret()?, self.organisation(), None, SystemClock::new().now());
        Ok(Secret::new(token))
    }

    /// The organisation that was named, else the default one.
    pub(crate) fn organisation(&self) -> OrganisationId {
        self.org.unwrap_or_else(OrganisationId::default_organisation)
    }

    /// The secret that signs tokens: what the settings say, else the key in the data directory.
    pub(crate) fn secret(&self) -> Result<Secret<String>, Failure> {
        let data = self.data.as_ref().map(|data| (key::DATA, data.display().to_string()));
        let flags = Flags { config: self.config.clone(), settings: data.into_iter().collect() };
        let settings = config::load_token_settings(&flags, &Environment::of_process())?;
        if let Some(secret) = settings.jwt_secret {
            return Ok(secret.value);
        }
        let folder = &settings.data.value;
        KeyFile::Jwt.read(folder)?.ok_or_else(|| {
            Failure::Configuration(format!(
                "there is no key `{}` to make a token from\nhint: give `--token`, or the server's data directory with `--data`",
                KeyFile::Jwt.path(folder).display()
            ))
        })
    }
}
