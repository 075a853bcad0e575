//! What a server under test runs with: a data directory of its own and a file with the endpoints.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;
use hookyard_model::{OrganisationId, Secret};
use hookyard_ports::{Clock as _, SystemClock};

use super::process::ServerOptions;

/// The application that messages are published to.
pub(crate) const APPLICATION: &str = "bench";

/// A directory prepared for a server.
pub(crate) struct Setup {
    /// What the server is started with.
    pub options: ServerOptions,
}

impl Setup {
    /// Writes a configuration with one endpoint at `url` for the application [`APPLICATION`].
    pub(crate) fn write(directory: &Path, url: &str, concurrency: u16) -> anyhow::Result<Self> {
        let mut file = String::new();
        application(&mut file, APPLICATION);
        endpoint(&mut file, "receiver", url, &format!("concurrency = {concurrency}\n"));
        Self::with_file(directory, &file)
    }

    /// The same on a database, in a schema of its own that stays there: what an earlier run left is old messages to this one.
    /// `listen` is the same database without a pooler in between.
    pub(crate) fn on_database(
        directory: &Path,
        url: &str,
        concurrency: u16,
        database: &str,
        listen: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut file = format!(
            "database = {database:?}\ndatabase_schema = \"hookyard_bench\"\nnode = \"bench\"\n\
             main_secret = \"a secret of the benchmark\"\n"
        );
        if let Some(listen) = listen {
            writeln!(file, "database_listen = {listen:?}").expect("writing to memory cannot fail");
        }
        application(&mut file, APPLICATION);
        endpoint(&mut file, "receiver", url, &format!("concurrency = {concurrency}\n"));
        Self::with_file(directory, &file)
    }

    /// Writes a configuration.
    pub(crate) fn with_file(directory: &Path, file: &str) -> anyhow::Result<Self> {
        let config = directory.join("hookyard.toml");
        std::fs::write(&config, file).with_context(|| format!("writing {}", config.display()))?;
        let options = ServerOptions {
            config,
            data: directory.join("data"),
            log: directory.join("server.log"),
            jwt_secret: "a secret of the benchmark, at least 32 bytes".to_owned(),
        };
        Ok(Self { options })
    }

    /// Where messages are published.
    #[expect(clippy::unused_self, reason = "the path belongs to the setup, though every setup has the same")]
    pub(crate) fn publish_path(&self) -> String {
        format!("/api/v1/app/{APPLICATION}/msg")
    }

    /// Where several are published at once. What was published is not sent back.
    #[expect(clippy::unused_self, reason = "the path belongs to the setup, though every setup has the same")]
    pub(crate) fn publish_batch_path(&self) -> String {
        format!("/api/v1/app/{APPLICATION}/msg/batch?with_content=false")
    }
}

/// Appends an application to a configuration.
pub(crate) fn application(file: &mut String, uid: &str) {
    writeln!(file, "[[application]]\nuid = \"{uid}\"\nname = \"{uid}\"").expect("writing to memory cannot fail");
}

/// Appends an endpoint to the last application of a configuration.
pub(crate) fn endpoint(file: &mut String, uid: &str, url: &str, more: &str) {
    endpoint_in(file, uid, url, &format!("secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n{more}"));
}

/// The same in any dialect: `more` says all but uid and URL.
pub(crate) fn endpoint_in(file: &mut String, uid: &str, url: &str, more: &str) {
    writeln!(file, "[[application.endpoint]]\nuid = \"{uid}\"\nurl = \"{url}\"\n{more}")
        .expect("writing to memory cannot fail");
}

/// A token for the setup's server.
pub(crate) fn token(setup: &Setup) -> String {
    let organisation = OrganisationId::default_organisation();
    let secret = Secret::new(setup.options.jwt_secret.clone());
    hookyard_server::mint_token(&secret, organisation, None, SystemClock::new().now())
}
