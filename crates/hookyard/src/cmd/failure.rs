//! Why a command did not do what it was asked, and the exit code that says so.
//!
//! Every command returns one of these; `main` prints it once. Scripts go by the code, people by the text.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use crate::config::Faults;
use crate::key_file::KeyFileError;
use crate::node::{BeginError, OpenError, OpenSharedError};

/// Why a command failed, by kind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Anything that has no code of its own.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Settings or a file are wrong.
    #[error("{0}")]
    Configuration(String),
    /// The server cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The server refused.
    #[error("{0}")]
    Refused(String),
    /// The server failed.
    #[error("{0}")]
    Server(String),
    /// Whoever reads our output has had enough; not worth a word.
    #[error("output is closed")]
    OutputClosed,
}

/// The codes as `--help` explains them.
pub(crate) const HELP: &str = "Exit codes: 0 done, 1 failed, 2 wrong command line, 3 wrong configuration, \
    4 server unreachable, 5 refused by the server, 6 server failed.";

impl Failure {
    /// The exit code of its kind.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::OutputClosed => 0,
            Self::Other(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) => 3,
            Self::Unreachable(_) => 4,
            Self::Refused(_) => 5,
            Self::Server(_) => 6,
        })
    }

    /// A wrong configuration, with the reason.
    pub(crate) fn configuration(error: impl Display) -> Self {
        Self::Configuration(error.to_string())
    }

    /// What writing to standard output came to.
    pub(crate) fn of_output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::Other(anyhow::Error::new(error).context("standard output cannot be written"))
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Configuration(faults.to_string().trim_end().to_owned())
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self::Other(error.into())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Secret(error) => Self::configuration(error),
            OpenError::Store(error @ hookyard_sqlite::OpenError::WrongSecret(_)) => Self::configuration(error),
            OpenError::Key(_) | OpenError::Store(_) | OpenError::HighestId(_) => Self::Other(error.into()),
        }
    }
}

impl From<OpenSharedError> for Failure {
    fn from(error: OpenSharedError) -> Self {
        use hookyard_postgres::OpenError as Store;
        match error {
            OpenSharedError::Secret(error) => Self::configuration(error),
            OpenSharedError::Store(
                error @ (Store::Url(_)
                | Store::Schema(_)
                | Store::Node(_)
                | Store::Certificates { .. }
                | Store::WrongSecret(_)),
            ) => Self::configuration(error),
            OpenSharedError::Store(_) | OpenSharedError::HighestId(_) => Self::Other(error.into()),
        }
    }
}

impl From<BeginError> for Failure {
    fn from(error: BeginError) -> Self {
        Self::Other(error.into())
    }
}
