//! `hookyard doctor`: looks at everything that a server needs and says what is in its way.
//!
//! Changes nothing that lasts: a file is made for an instant beside the data, to see that one can be. It reads settings
//! and files as `serve` would, so that it sees what a start would see, beside a server that runs as well as without one.
//! Nothing that it says holds a secret: of a URL it shows scheme, host and port. With a `database`, that is looked at
//! in place of the data directory, which is then not used.

mod data;
mod database;
mod egress;
mod machine;
mod server;

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use super::config::summary;
use super::failure::Failure;
use super::output;
use super::serve::ServeFlags;
use crate::config::{Config, Environment, Faults};

/// Look for what would keep a server from starting, accepting or delivering.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serve: ServeFlags,
}

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, said: impl Into<String>) -> Self {
        Self { check, verdict, said: said.into(), hint: None }
    }

    fn ok(check: &'static str, said: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, said)
    }

    fn warn(check: &'static str, said: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warn, said)
    }

    fn fail(check: &'static str, said: impl Into<String>) -> Self {
        Self::new(check, Verdict::Fail, said)
    }

    /// With the one thing to do about it.
    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Doctor {
    /// Looks at everything, and fails when something would.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let findings = self.findings().await;
        let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
        if self.json {
            output::json(&serde_json::json!({ "ok": failed == 0, "checks": findings }))?;
        } else {
            output::bytes(shown(&findings).as_bytes())?;
        }
        match failed {
            0 => Ok(()),
            1 => Err(Failure::Other(anyhow::anyhow!("1 check failed"))),
            _ => Err(Failure::Other(anyhow::anyhow!("{failed} checks failed"))),
        }
    }

    async fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match Config::load(&self.serve.flags(), &Environment::of_process()) {
            Ok(config) => {
                configuration(&config, &mut findings);
                let answered = server::look(&config, &mut findings).await;
                let time_of_disk = if let Some(database) = &config.settings.database {
                    database::look(&config, database, &mut findings).await;
                    None
                } else {
                    data::look(&config, &mut findings);
                    data::time(&config)
                };
                machine::look(answered, time_of_disk, &mut findings);
                egress::look(&config, &mut findings).await;
            }
            Err(faults) => {
                add_faults(&faults, &mut findings);
                let said =
                    "not looked at: data or database, server, clock and egress, which a right configuration would name";
                findings.push(Finding::warn(CONFIGURATION, said));
                machine::look_at_limits(&mut findings);
            }
        }
        findings
    }
}

const CONFIGURATION: &str = "configuration";

fn configuration(config: &Config, findings: &mut Vec<Finding>) {
    findings.extend(summary(config).into_iter().map(|line| Finding::ok(CONFIGURATION, line)));
    for (warning, hint) in config.warnings.iter() {
        let finding = Finding::warn(CONFIGURATION, warning);
        findings.push(match hint {
            Some(hint) => finding.hint(hint),
            None => finding,
        });
    }
}

fn add_faults(faults: &Faults, findings: &mut Vec<Finding>) {
    for (_, fault) in faults.iter() {
        let (said, hint) = fault.parts();
        let finding = Finding::fail(CONFIGURATION, said);
        findings.push(match hint {
            Some(hint) => finding.hint(hint),
            None => finding,
        });
    }
}

/// One line for each finding, and one below it where there is something to do.
fn shown(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let (indent, mut text) = (width + 6, String::new());
    for finding in findings {
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        let said = output::plain(&finding.said);
        let _ = writeln!(text, "{verdict:<4}  {:<width$}  {said}", finding.check);
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "{:indent$}  hint: {}", "", output::plain(hint));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_aligned_and_hints_stand_below() {
        let findings = [
            Finding::ok("data", "is there"),
            Finding::fail("egress", "is \u{1b}[31m refused").hint("egress.allow = [\"nas:80\"]"),
        ];
        let expected = "ok    data    is there\nFAIL  egress  is \\u{1b}[31m refused\n              hint: \
                        egress.allow = [\"nas:80\"]\n";
        assert_eq!(shown(&findings), expected);
    }
}
