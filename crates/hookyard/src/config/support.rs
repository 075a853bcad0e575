//! What reads well and is not honoured nevertheless: settings whose part this version does not have, and databases that
//! nothing can connect to.
//!
//! Called whenever settings are read, so that `config check`, `doctor`, `serve` and a reload judge alike. What only the
//! machine or the moment decides (a port that is taken, a database that does not answer) is left to `serve` and `doctor`.

use hookyard_model::Secret;

use super::environment::Environment;
use super::fault::{Faults, Place};
use super::file::Declared;
use super::settings::{Database, Setting, Settings};
use super::{key, unknown_variables};

/// Judges settings that are right each by itself.
pub(super) fn judge(settings: &Settings, faults: &mut Faults) {
    refuse_unsupported(settings, faults);
    warn_of_idle(settings, faults);
    if let Some(database) = &settings.database {
        refuse_unreachable(database, faults);
    }
}

/// A server without TLS that was told to use it is worse than none.
fn refuse_unsupported(settings: &Settings, faults: &mut Faults) {
    let given = [
        (key::DOORS_LISTEN, settings.doors_listen.as_ref().map(|setting| &setting.place)),
        (key::TLS_CERT, settings.tls.as_ref().map(|tls| &tls.cert.place)),
        (key::EGRESS_PROXY, settings.egress_proxy.as_ref().map(|setting| &setting.place)),
        (key::KAI_GITHUB_SECRET, settings.kai_github_secret.as_ref().map(|setting| &setting.place)),
        (key::KAI_API_SECRET, settings.kai_api_secret.as_ref().map(|setting| &setting.place)),
    ];
    for (key, place) in given {
        if let Some(place) = place {
            faults.add(place, key.name, "is not supported by this version");
        }
    }
}

fn warn_of_idle(settings: &Settings, faults: &mut Faults) {
    let given = [
        (key::ADMIN_PASSWORD, settings.admin_password.as_ref().map(|setting| &setting.place)),
        (key::DEFAULT_SIGNATURE, Some(&settings.default_signature.place)),
        (key::TRUSTED_PROXIES, Some(&settings.trusted_proxies.place)),
    ];
    for (key, place) in given {
        if let Some(place) = place.filter(|place| **place != Place::Default) {
            faults.warn(place, key.name, "has no effect in this version", None);
        }
    }
}

/// Asks what would connect, without connecting.
fn refuse_unreachable(database: &Database, faults: &mut Faults) {
    let mut judge = |name: &str, setting: &Setting<Secret<String>>| {
        if let Err(error) = hookyard_postgres::check_url(&setting.value) {
            let said = error.to_string();
            match said.split_once("\nhint: ") {
                Some((what, hint)) => faults.add_with_hint(&setting.place, name, what, hint),
                None => faults.add(&setting.place, name, said),
            }
        }
    };
    judge(key::DATABASE.name, &database.url);
    if let Some(listen) = &database.listen {
        judge(key::DATABASE_LISTEN.name, listen);
    }
}

/// Sources are checked like everything else, and nothing listens for them.
pub(super) fn warn_of_sources(declared: &Declared, faults: &mut Faults) {
    if let Some(source) = declared.sources.first() {
        faults.warn(&source.place, "source", "has no door in this version; sources are checked and not opened", None);
    }
}

/// A misspelt variable would otherwise be looked for on the day that its setting matters.
pub(super) fn warn_of_variables(environment: &Environment, faults: &mut Faults) {
    for (name, near) in unknown_variables(environment) {
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        let place = Place::Environment(name.to_owned());
        faults.warn(&place, "", "is not a setting and has no effect", hint.as_deref());
    }
}
