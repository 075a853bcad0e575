//! Why an embedded node does not do what it was asked; what cannot be published is `hookyard_accept`'s to say.

use hookyard_dialects::SettingsError;
use hookyard_egress::UrlError;
use hookyard_model::{NameError, RetryPolicyError, limits};
use hookyard_ports::StoreError;
use hookyard_ports::store::ImportError;
use hookyard_record::KeyringError;

use crate::key_file::KeyFileError;
use crate::node;

/// Why a node does not open. Nothing of it runs, and the directory is free.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// How attempts are repeated breaks a limit.
    #[error(transparent)]
    Retry(#[from] RetryPolicyError),
    /// Messages would be pruned while their schedule runs, or kept for longer than anybody may.
    #[error("`retention` {0}")]
    Retention(String),
    /// The directory, or the key in it.
    #[error(transparent)]
    Key(KeyFileError),
    /// What was given as main secret is none.
    #[error(transparent)]
    Secret(KeyringError),
    /// The store: another process has it, it cannot be written to, or its main secret is another one.
    #[error(transparent)]
    Store(hookyard_sqlite::OpenError),
    /// The store opened and does not answer.
    #[error("the store does not tell its highest id")]
    HighestId(#[source] StoreError),
    /// What the program declares is refused.
    #[error(transparent)]
    Declare(#[from] DeclareError),
    /// What a former life of the node held is not given up.
    #[error("what a former life of this node held cannot be freed")]
    Begin(#[source] StoreError),
}

impl From<node::OpenError> for OpenError {
    fn from(error: node::OpenError) -> Self {
        match error {
            node::OpenError::Key(error) => Self::Key(error),
            node::OpenError::Secret(error) => Self::Secret(error),
            node::OpenError::Store(error) => Self::Store(error),
            node::OpenError::HighestId(error) => Self::HighestId(error),
        }
    }
}

/// Why a declaration is refused; nothing of it counts.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// A name breaks its rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The URL of an endpoint is none.
    #[error("endpoint `{endpoint}`: {why}")]
    Url {
        /// Which endpoint.
        endpoint: String,
        /// What is wrong with it.
        why: UrlError,
    },
    /// An endpoint could never be sent to.
    #[error("endpoint `{endpoint}` of application `{application}`: {why}")]
    Settings {
        /// Of which application.
        application: String,
        /// Which endpoint.
        endpoint: String,
        /// Which field, and what is wrong with it.
        why: SettingsError,
    },
    /// An application breaks a rule.
    #[error("application `{application}`: {why}")]
    Application {
        /// Which.
        application: String,
        /// Which field, and what is wrong with it.
        why: SettingsError,
    },
    /// Two have the same uid.
    #[error("application `{0}` is declared twice")]
    ApplicationTwice(String),
    /// Two have the same uid.
    #[error("endpoint `{endpoint}` of application `{application}` is declared twice")]
    EndpointTwice {
        /// Of which application.
        application: String,
        /// Which.
        endpoint: String,
    },
    /// An application has more endpoints than it may.
    #[error("application `{application}` has {endpoints} endpoints, at most {max} are allowed",
            max = limits::ENDPOINTS_PER_APPLICATION)]
    TooManyEndpoints {
        /// Which.
        application: String,
        /// How many it has.
        endpoints: usize,
    },
    /// Somebody else declares an application of that uid: a file that `hookyard serve` read in this directory.
    #[error(transparent)]
    Taken(#[from] ImportError),
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why something cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No application has that uid or id.
    #[error("no such application")]
    UnknownApplication,
    /// The application has no endpoint of that uid or id.
    #[error("no such endpoint")]
    UnknownEndpoint,
    /// The store could not do it.
    #[error(transparent)]
    Store(StoreError),
}
