//! The database of several nodes: whether it answers, what is in it, whether this node's secrets open that, and whether
//! changes are heard.

use std::time::Duration;

use hookyard_postgres::{Form, Listening, OpenError, Seen};

use super::Finding;
use crate::config::{Config, Database};
use crate::node;

const DATABASE: &str = "database";
const SCHEMA: &str = "schema";
const LISTEN: &str = "database_listen";
/// How long all of it may take: each of several hosts has its own few seconds to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// By how much the clocks of nodes may differ; theirs and the database's are kept by the same service.
const APART: Duration = Duration::from_secs(3);

/// Looks at the database that the settings name.
pub(super) async fn look(config: &Config, database: &Database, findings: &mut Vec<Finding>) {
    let (clock, metrics) = node::shared();
    let options = match database.shared().options(&config.settings.main_secret.value, &clock, &metrics) {
        Ok(options) => options,
        Err(error) => {
            findings.push(Finding::fail(DATABASE, error.to_string()));
            return;
        }
    };
    let seen = match tokio::time::timeout(PATIENCE, hookyard_postgres::look(&options)).await {
        Ok(Ok(seen)) => seen,
        Ok(Err(error)) => {
            findings.push(refused(DATABASE, &error));
            return;
        }
        Err(_) => {
            let within = PATIENCE.as_secs();
            let said = format!("it takes connections and did not answer within {within} s");
            let hint = "look at the server's load and locks, and at what stands between it and here";
            findings.push(Finding::fail(DATABASE, said).hint(hint));
            return;
        }
    };
    findings.extend(told(&seen, &database.schema.value));
}

fn told(seen: &Seen, schema: &str) -> Vec<Finding> {
    let Seen { at, version, .. } = seen;
    let mut findings = vec![Finding::ok(DATABASE, format!("PostgreSQL {version} answers at {at}"))];
    if !seen.is_commit_durable {
        let said = "`synchronous_commit` is off there; Hookyard switches it on for each of its own transactions";
        findings.push(Finding::ok(DATABASE, said));
    }
    if seen.is_pooled {
        let said = "a pooler stands in between that gives each transaction another connection, which is fine";
        findings.push(Finding::ok(DATABASE, said));
    }
    let (there, here) = seen.clocks;
    let apart = if there > here { there.since(here) } else { here.since(there) };
    if apart > APART {
        let said = format!("its clock says {there} where this machine's says {here}");
        let hint = "set the clocks of the database and of all nodes by NTP; they must agree to within 3 s";
        findings.push(Finding::warn(DATABASE, said).hint(hint));
    }
    findings.push(match &seen.form {
        Ok(Form::Missing) => Finding::ok(SCHEMA, format!("`{schema}` has no tables yet; a start makes them")),
        Ok(Form::Older { found, known }) => {
            let said = format!("`{schema}` has version {found}; a start brings it to version {known}");
            Finding::warn(SCHEMA, said).hint("nodes of the older version that run go on; none starts any more")
        }
        Ok(Form::Ready { version }) => Finding::ok(
            SCHEMA,
            format!("`{schema}` has version {version}, this one's; `main_secret` opens its secrets"),
        ),
        Err(error) => refused(SCHEMA, error),
    });
    findings.push(match &seen.listening {
        None => Finding::ok(LISTEN, "is not set: what other nodes change is asked for every second"),
        Some(Listening::Heard { at }) => Finding::ok(LISTEN, format!("what is said in the database is heard at {at}")),
        Some(Listening::Silent { at }) => {
            Finding::fail(LISTEN, format!("what is said in the database is not heard at {at}"))
                .hint("name the same database without a pooler in between, or leave `database_listen` out")
        }
        Some(Listening::Refused { at, why }) => Finding::fail(LISTEN, format!("cannot listen at {at}: {why}"))
            .hint("correct `database_listen`, or leave it out: changes are then asked for every second"),
    });
    findings
}

/// An error of a start, with its own hint.
fn refused(check: &'static str, error: &OpenError) -> Finding {
    let said = error.to_string();
    match said.split_once("\nhint: ") {
        Some((said, hint)) => Finding::fail(check, said).hint(hint),
        None => Finding::fail(check, said),
    }
}

#[cfg(test)]
mod tests {
    use hookyard_model::Timestamp;

    use super::super::Verdict;
    use super::*;

    fn seen(form: Result<Form, OpenError>, listening: Option<Listening>) -> Seen {
        Seen {
            at: "`db:5432`".to_owned(),
            version: "17.2".to_owned(),
            clocks: (Timestamp::from_seconds(0), Timestamp::from_seconds(0)),
            is_commit_durable: true,
            is_pooled: false,
            form,
            listening,
        }
    }

    fn of(findings: &[Finding], check: &str) -> (Verdict, bool) {
        let found = findings.iter().find(|finding| finding.check == check).expect("it was looked at");
        (found.verdict, found.hint.is_some())
    }

    #[test]
    fn an_older_schema_is_a_warning_and_a_newer_one_a_failure() {
        let older = told(&seen(Ok(Form::Older { found: 1, known: 2 }), None), "hooks");
        assert_eq!(of(&older, SCHEMA), (Verdict::Warn, true));
        assert_eq!(of(&older, LISTEN), (Verdict::Ok, false));
        let newer = OpenError::Newer { schema: "hooks".to_owned(), found: 3, known: 2 };
        assert_eq!(of(&told(&seen(Err(newer), None), "hooks"), SCHEMA), (Verdict::Fail, true));
    }

    #[test]
    fn a_clock_that_goes_wrong_is_a_warning() {
        for (seconds, expected) in [(3, 0), (4, 1), (-4, 1)] {
            let clocks = (Timestamp::from_seconds(seconds), Timestamp::from_seconds(0));
            let findings = told(&Seen { clocks, ..seen(Ok(Form::Missing), None) }, "hooks");
            let warnings = findings.iter().filter(|finding| finding.verdict == Verdict::Warn).count();
            assert_eq!(warnings, expected, "{seconds}: {findings:?}");
        }
    }

    #[test]
    fn a_listener_that_hears_nothing_is_a_failure() {
        let at = || "`pooler:6432`".to_owned();
        let silent = told(&seen(Ok(Form::Missing), Some(Listening::Silent { at: at() })), "hooks");
        assert_eq!(of(&silent, LISTEN), (Verdict::Fail, true));
        let heard = told(&seen(Ok(Form::Missing), Some(Listening::Heard { at: at() })), "hooks");
        assert_eq!(of(&heard, LISTEN), (Verdict::Ok, false));
    }
}
