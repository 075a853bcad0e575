//! `hookyard.toml`'s rows: applications with their endpoints, and sources.
//!
//! Read at start, on reload and by `config check`; the same file always gives the same rows. A file with a fault gives
//! none: a server never runs with half of its configuration.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use hookyard_model::{FileKind, OrganisationId, Rate, RetryPolicy, Timestamp, Uid, limits};
use hookyard_ports::Ids;
use hookyard_ports::store::{Import, ImportApplication, ImportEndpoint};

use super::document::Table;
use super::endpoint::{self, DeclaredEndpoint, derived_uid, metadata, parsed};
use super::fault::{Faults, Place};
use super::settings::Settings;
use super::source::{self, DeclaredSource, SOURCES};
use crate::retention::check_schedule;

/// Applications of one file; each may have as many endpoints as the model allows.
const APPLICATIONS: usize = 10_000;

/// What holds for the rows of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Whether http endpoints are refused.
    pub(crate) require_https: bool,
    /// What the application says about that.
    pub(crate) application_https: Option<bool>,
    /// The jitter of policies that do not say.
    pub(crate) jitter: f64,
}

impl Policy {
    /// What the settings say.
    pub(crate) fn of(settings: &Settings) -> Self {
        let jitter = match settings.retry {
            RetryPolicy::Schedule { jitter, .. } | RetryPolicy::Exponential { jitter, .. } => jitter,
            RetryPolicy::Fixed { .. } => 0.0,
        };
        Self { require_https: settings.require_https.value, application_https: None, jitter }
    }
}

/// The rows that a file declares.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    /// In the file's order.
    pub(crate) applications: Vec<DeclaredApplication>,
    /// In the file's order.
    pub(crate) sources: Vec<DeclaredSource>,
}

/// An application as a file declares it.
#[derive(Debug, Clone)]
pub(crate) struct DeclaredApplication {
    /// Where it is declared.
    pub(super) place: Place,
    pub(crate) uid: Uid,
    pub(crate) name: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) rate_limit: Option<Rate>,
    pub(crate) require_https: Option<bool>,
    /// Each with a uid.
    pub(crate) endpoints: Vec<(Uid, DeclaredEndpoint)>,
}

impl Declared {
    /// Takes the rows out of a file's root table.
    pub(crate) fn read(root: &mut Table<'_>, policy: Policy, faults: &mut Faults) -> Self {
        let mut declared = Self::default();
        let mut uids = HashSet::new();
        let applications = root.take("application").map(|value| value.list(APPLICATIONS, faults)).unwrap_or_default();
        for value in applications {
            let place = value.place();
            let Some(application) = value.table(faults).and_then(|table| application(table, policy, faults)) else {
                continue;
            };
            if !uids.insert(application.uid.clone()) {
                let what = format!("`{}` is declared twice", application.uid);
                faults.add(&place, "application.uid", what);
            }
            declared.applications.push(application);
        }
        let mut names = HashSet::new();
        let sources = root.take("source").map(|value| value.list(SOURCES, faults)).unwrap_or_default();
        for value in sources {
            let Some(source) = value.table(faults).and_then(|table| source::read(table, faults)) else { continue };
            if !names.insert(source.name.clone()) {
                faults.add(&source.place, "source.name", format_args!("`{}` is declared twice", source.name));
            }
            declared.sources.push(source);
        }
        declared
    }

    /// The rows as the store imports them, with fresh ids for those that are new.
    pub(crate) fn import(&self, file: &str, ids: &Ids, now: Timestamp) -> Import {
        import(FileKind::Hookyard, file, &self.applications, ids, now)
    }
}

/// Notes endpoints whose schedule is longer than what `settings` keeps messages for; `retry` is the file's word for it.
pub(super) fn check_retention(
    applications: &[DeclaredApplication],
    retry: &str,
    settings: &Settings,
    faults: &mut Faults,
) {
    let kept = settings.retention.value;
    for (_, endpoint) in applications.iter().flat_map(|application| &application.endpoints) {
        let policy = endpoint.settings.retry.as_ref();
        if let Some(Err(why)) = policy.map(|policy| check_schedule(policy, kept)) {
            faults.add(&endpoint.place, &format!("{}.{retry}", endpoint.key), why);
        }
    }
}

/// The rows of any file as the store imports them, with fresh ids for those that are new.
pub(super) fn import(
    kind: FileKind,
    file: &str,
    applications: &[DeclaredApplication],
    ids: &Ids,
    now: Timestamp,
) -> Import {
    let endpoint = |(uid, endpoint): &(Uid, DeclaredEndpoint)| ImportEndpoint {
        id: ids.endpoint(),
        uid: uid.clone(),
        settings: Arc::new(endpoint.settings.clone()),
        disabled: endpoint.disabled,
    };
    let application = |application: &DeclaredApplication| ImportApplication {
        id: ids.application(),
        uid: application.uid.clone(),
        name: application.name.clone(),
        metadata: application.metadata.clone(),
        rate_limit: application.rate_limit,
        require_https: application.require_https,
        endpoints: application.endpoints.iter().map(endpoint).collect(),
    };
    Import {
        kind,
        file: file.to_owned(),
        organisation: OrganisationId::default_organisation(),
        applications: applications.iter().map(application).collect(),
        now,
    }
}

fn application(mut table: Table<'_>, policy: Policy, faults: &mut Faults) -> Option<DeclaredApplication> {
    let place = table.place();
    let uid: Option<Uid> = table.require("uid", faults).and_then(|value| value.parse(str::parse, faults));
    let name = table.take("name").and_then(|value| value.text(faults).map(str::to_owned));
    let metadata = table.take("metadata").map(|value| metadata(value, faults)).unwrap_or_default();
    let rate_limit = parsed(&mut table, "rate_limit", faults);
    let require_https = table.take("require_https").and_then(|value| value.boolean(faults));
    let policy = Policy { application_https: require_https, ..policy };
    let mut endpoints = Vec::new();
    let values = table.take("endpoint").map(|value| value.list(limits::ENDPOINTS_PER_APPLICATION, faults));
    for value in values.unwrap_or_default() {
        endpoints.extend(value.table(faults).and_then(|table| endpoint::read(table, &policy, faults)));
    }
    table.finish(faults);
    let endpoints = with_uids(endpoints, faults);
    let uid = uid?;
    Some(DeclaredApplication {
        place,
        name: name.unwrap_or_else(|| uid.to_string()),
        uid,
        metadata,
        rate_limit,
        require_https,
        endpoints,
    })
}

/// Gives a uid to those that have none, and says which are taken twice.
pub(super) fn with_uids(endpoints: Vec<DeclaredEndpoint>, faults: &mut Faults) -> Vec<(Uid, DeclaredEndpoint)> {
    let mut equals: HashMap<String, usize> = HashMap::new();
    let mut taken: HashMap<Uid, Place> = HashMap::new();
    let mut named = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        let uid = endpoint.uid.clone().unwrap_or_else(|| {
            let ordinal = equals.entry(endpoint.digest.clone()).or_default();
            *ordinal += 1;
            derived_uid(&endpoint.digest, *ordinal - 1)
        });
        if let Some(first) = taken.insert(uid.clone(), endpoint.place.clone()) {
            let what = format!("`{uid}` is declared twice, first at {first}");
            faults.add(&endpoint.place, &format!("{}.uid", endpoint.key), what);
        }
        named.push((uid, endpoint));
    }
    named
}
