//! `POST /api/v1/hookyard/config/reload`: has the node read its configuration file again.
//!
//! The doors know neither files nor settings: the binary gives them a [`Reload`]. 200 with what changed; 400 with the
//! whole report when the file is refused, and then nothing changed. Open to the organisation whose rows files declare.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use hookyard_model::OrganisationId;
use hookyard_ports::store::ImportReport;
use serde_json::json;

use crate::auth::Caller;
use crate::doors::Doors;
use crate::error::{ApiError, Code, Result};
use crate::reply;

type Reloading = Pin<Box<dyn Future<Output = std::result::Result<ImportReport, ReloadError>> + Send>>;

/// Reads the configuration file again; made by the binary.
#[derive(Clone)]
pub struct Reload(Arc<dyn Fn() -> Reloading + Send + Sync>);

/// Why a configuration was not reloaded; nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadError {
    /// It is wrong; the whole report.
    Refused(String),
    /// The node could not; the reason is for its log.
    Failed(String),
}

impl Reload {
    /// A reload that `reload` does.
    pub fn new<F, R>(reload: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = std::result::Result<ImportReport, ReloadError>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(reload())))
    }
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload").finish_non_exhaustive()
    }
}

pub(crate) async fn reload(State(doors): State<Arc<Doors>>, caller: Caller) -> Result<Response> {
    let organisation = caller.organisation_only()?.organisation;
    if organisation != OrganisationId::default_organisation() {
        let refusal = ApiError::new(Code::InsufficientAccess, "Insufficient access for the requested operation.");
        return Err(refusal.hint("use a token of the default organisation, which files declare their rows for"));
    }
    let Some(Reload(reload)) = &doors.reload else {
        return Err(ApiError::not_found("this node has no configuration to read again"));
    };
    match reload().await {
        Ok(ImportReport { created, updated, archived, unchanged }) => {
            let done = json!({
                "created": created, "updated": updated, "archived": archived, "unchanged": unchanged,
            });
            Ok(reply::json(StatusCode::OK, &done))
        }
        Err(ReloadError::Refused(report)) => Err(ApiError::new(Code::Generic, report)),
        Err(ReloadError::Failed(reason)) => {
            tracing::error!(reason, "the configuration was not reloaded");
            Err(ApiError::new(Code::Internal, ""))
        }
    }
}
