//! The pages of `docs/reference`, made from the tables that the code itself goes by.
//!
//! Tests only: each page on disk is compared with what the code says, so that none can be out of date.
//! `HOOKYARD_WRITE_REFERENCE=1 cargo test -p hookyard reference` writes them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use hookyard_dialects::{Choices, Defaults, Dialect};
use hookyard_egress::{Opened, RANGES};
use hookyard_model::{OnGone, RetryPolicy, format_duration};
use hookyard_ports::Metrics;
use hookyard_server::Code;

use crate::cmd::Cli;
use crate::config::{Environment, key};

/// Set to anything, the tests write the pages instead of comparing them.
const WRITE: &str = "HOOKYARD_WRITE_REFERENCE";
/// The command that does.
const COMMAND: &str = "HOOKYARD_WRITE_REFERENCE=1 cargo test -p hookyard reference";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[track_caller]
fn check(page: &str, title: &str, text: &str) {
    let path = root().join("docs/reference").join(page);
    let made = format!("# {title}\n\n<!-- Made by `{COMMAND}`; change the code instead. -->\n\n{}\n", text.trim());
    if Environment::of_process().get(WRITE).is_ok() {
        std::fs::write(&path, made).expect("the page can be written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/reference/{page} is not what the code says; `{COMMAND}` writes it afresh");
}

/// A table of these columns; every cell is Markdown.
fn table<const N: usize>(columns: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&columns.map(str::to_owned));
    text.push_str(&line(&columns.map(|_| "---".to_owned())));
    for row in rows {
        text.push_str(&line(&row.map(|cell| cell.replace('|', "\\|"))));
    }
    text
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

#[test]
fn the_settings_page_is_what_the_code_says() {
    let commands = Cli::command();
    let serve = commands.find_subcommand("serve").expect("there is a server");
    let flags: Vec<String> =
        serve.get_arguments().filter_map(|argument| argument.get_long().map(|long| format!("--{long}"))).collect();
    let rows = key::KEYS.iter().map(|key| {
        let flag = if flags.contains(&key.flag()) { code(&key.flag()) } else { String::new() };
        let default = if key.default.contains([' ', '`']) || key.default == "none" {
            key.default.to_owned()
        } else {
            code(key.default)
        };
        [code(key.name), code(key.environment), flag, default, key.meaning.to_owned()]
    });
    let text = format!(
        "Each setting has one meaning and up to three places. A flag of `serve` wins over the environment, the \
         environment over\n`hookyard.toml`, and that over the default; `hookyard config show` says what counts and where \
         it comes from, and\n`hookyard config check` reports everything that is wrong at once. In the file, a dot stands \
         between a table and its key:\n`egress.allow` is `allow` in `[egress]`.\n\nDurations are written `50ms`, `5s`, \
         `2m`, `1h`, `90d`. A list is a list in the file and has commas in the environment. A\nsecret in the file may be \
         `\"${{VARIABLE}}\"` or `{{ secret_file = \"path\" }}`; for a secret in the environment, the variable\nwith \
         `_FILE` behind its name gives the file that holds it.\n\n{}\nBeside these, `HOOKYARD_CONFIG` names the file \
         (as `--config` does), and commands that talk to a server read\n`HOOKYARD_SERVER` and `HOOKYARD_TOKEN`.\n",
        table(["Key", "Environment", "Flag", "Default", "Meaning"], rows)
    );
    check("settings.md", "Settings", &text);
}

#[test]
fn the_command_line_page_is_what_the_code_says() {
    let mut text = String::from(
        "What `hookyard help` prints, for every command. Flags of `serve` are explained by [settings](settings.md).\n",
    );
    // What the variables of this environment hold is nobody's reference.
    let mut command = Cli::command().term_width(100).mut_args(|argument| argument.hide_env_values(true));
    command.build();
    help(&mut text, &command);
    check("command-line.md", "Command line", &text);
}

fn help(text: &mut String, command: &clap::Command) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut shown = command.clone().term_width(100).mut_args(|argument| argument.hide_env_values(true));
    let shown = shown.render_long_help().to_string();
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim());
    for command in command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        help(text, command);
    }
}

#[test]
fn the_metrics_page_is_what_the_code_says() {
    let rows = Metrics::reference().iter().map(|metric| {
        let help = format!("{}.", metric.help);
        [code(metric.name), metric.kind.to_owned(), code(metric.labels), help]
    });
    let text = format!(
        "`GET /metrics` shows these in the form that Prometheus scrapes. A counter has `_total` behind its name there; a \
         histogram\nhas `_bucket`, `_sum` and `_count`. What has never been counted under a label is absent.\n\n{}\n\
         Which of them to alert on: [operate](../guides/operate.md).\n",
        table(["Name", "Kind", "Label", "Meaning"], rows)
    );
    check("metrics.md", "Metrics", &text);
}

#[test]
fn the_error_page_is_what_the_code_says() {
    let rows = Code::ALL
        .iter()
        .map(|error| [code(error.as_str()), error.status().as_u16().to_string(), error.meaning().to_owned()]);
    let text = format!(
        "Every answer that is not a 2xx has a JSON body. It is `{{\"code\": …, \"detail\": …}}`, with a `hint` where there \
         is one\nthing to do; for 422, `detail` is a list of `{{\"loc\": …, \"msg\": …, \"type\": …}}` and the code stands \
         in `type`. 500 has the\nbody `{{}}`: what broke is in the server's log. A 503 has `Retry-After`.\n\n{}",
        table(["Code", "Status", "When"], rows)
    );
    check("errors.md", "Error codes", &text);
}

#[test]
fn the_limits_page_is_what_the_code_says() {
    let source = root().join("crates/hookyard-model/src/limits.rs");
    let source = std::fs::read_to_string(source).expect("the limits have a file");
    let limits = read_limits(&source);
    assert_eq!(limits.len(), source.matches("pub const ").count(), "every limit is on one line");
    let rows = limits.into_iter().map(|(name, value, reason)| [code(&name), code(&value), reason]);
    let text = format!(
        "Every bound of the system, by its name in the code. A request that goes over one is refused with the bound in \
         the\nanswer; none of them can be configured unless [settings](settings.md) has a key for it.\n\n{}",
        table(["Limit", "Value", "What and why"], rows)
    );
    check("limits.md", "Limits", &text);
}

/// Name, value and documentation of each constant.
fn read_limits(source: &str) -> Vec<(String, String, String)> {
    let (mut limits, mut doc) = (Vec::new(), Vec::new());
    for line in source.lines() {
        if let Some(sentence) = line.strip_prefix("/// ") {
            doc.push(sentence);
        } else if let Some(constant) = line.strip_prefix("pub const ") {
            let parts = constant.strip_suffix(';').and_then(|constant| constant.split_once(" = "));
            let Some((declared, value)) = parts else { continue };
            let name = declared.split(':').next().unwrap_or(declared);
            // A link of the code's documentation leads nowhere on a page.
            let reason = doc.join(" ").replace("[`", "`").replace("`]", "`");
            limits.push((name.to_owned(), value.to_owned(), reason));
            doc.clear();
        } else {
            doc.clear();
        }
    }
    limits
}

#[test]
fn the_dialects_page_is_what_the_code_says() {
    let mut text = String::from(
        "The formats in which messages leave and requests come in. An endpoint names one as its `dialect` and chooses what \
         it lets\nchoose in `options`; where the endpoint says nothing, the dialect's own defaults count, and where those \
         say nothing, the\n[settings](settings.md). Samples and schemas of event types: `hookyard event-types sample \
         immich AssetCreate`.\n",
    );
    for dialect in hookyard_dialects::all() {
        let _ = write!(text, "\n## {}\n\n{}\n", dialect.name(), dialect.summary());
        text.push_str(&ways(dialect));
        if let Some(outbound) = dialect.outbound() {
            text.push_str(&defaults(&outbound.defaults()));
            let rows = outbound.options().iter().map(|option| {
                let choices = match option.choices {
                    Choices::OneOf(choices) => choices.iter().map(|choice| code(choice)).collect::<Vec<_>>().join(", "),
                    Choices::Text => "text".to_owned(),
                };
                let default = if option.default.contains(' ') || ["none", "nothing"].contains(&option.default) {
                    option.default.to_owned()
                } else {
                    code(option.default)
                };
                [code(option.name), choices, default, option.meaning.to_owned()]
            });
            if !outbound.options().is_empty() {
                let _ = write!(text, "\n{}", table(["Option", "May be", "Default", "Meaning"], rows));
            }
        }
        let rows = dialect.catalogue().iter().map(|entry| {
            let danger = entry.danger.map_or_else(String::new, |danger| format!(" **Dangerous:** {danger}"));
            [code(entry.name), format!("{}{danger}", entry.description)]
        });
        if !dialect.catalogue().is_empty() {
            let _ = write!(text, "\n{}", table(["Event type", "Tells"], rows));
        }
    }
    check("dialects.md", "Dialects", &text);
}

/// Whether it goes out, comes in, or both.
fn ways(dialect: &Dialect) -> String {
    let ways = match (dialect.outbound().is_some(), dialect.inbound().is_some()) {
        (true, true) => "For endpoints and for sources.",
        (true, false) => "For endpoints.",
        (false, true) => "For sources.",
        (false, false) => "",
    };
    format!("{ways}\n")
}

/// What holds where an endpoint of the dialect says nothing.
fn defaults(defaults: &Defaults) -> String {
    let mut said = vec![format!("method `{}`", defaults.method.as_str())];
    match &defaults.retry {
        None => {}
        Some(RetryPolicy::Fixed { delay, retries }) => {
            said.push(format!("{retries} retries, `{}` apart", format_duration(*delay)));
        }
        Some(RetryPolicy::Exponential { delay, factor, retries, .. }) => {
            let delay = format_duration(*delay);
            said.push(format!(
                "{retries} retries, the first after `{delay}`, each delay {factor} times the one before"
            ));
        }
        Some(RetryPolicy::Schedule { delays, .. }) => said.push(format!("{} retries", delays.len())),
    }
    said.extend(defaults.timeout.map(|timeout| format!("timeout `{}`", format_duration(timeout))));
    if defaults.on_gone == OnGone::Disable {
        said.push("`410 Gone` disables the endpoint".to_owned());
    }
    if defaults.require_https {
        said.push("`https` is required unless the application says otherwise".to_owned());
    }
    format!("\nDefaults: {}.\n", said.join("; "))
}

#[test]
fn the_egress_page_is_what_the_code_says() {
    let rows = RANGES.iter().map(|range| {
        let opened = match range.opened {
            Opened::ByName => "a host that the operator's files or `egress.allow` name, or a network in `egress.allow`",
            Opened::ByNetwork => "a network or an address in `egress.allow`",
            Opened::BySingleEntry => "an entry of `egress.allow` for this address alone",
            Opened::Never => "nothing",
        };
        [code(&range.net.to_string()), code(range.rule), range.what.to_owned(), opened.to_owned()]
    });
    let text = format!(
        "The addresses that webhooks do not go to. The first row that holds an address decides; what no row holds is \
         public. The\nrule is the label under which `hookyard_egress_blocked` counts. How the guard works: \
         [egress](../concepts/egress.md).\n\n{}",
        table(["Addresses", "Rule", "It is", "Opened by"], rows)
    );
    check("egress-ranges.md", "Egress ranges", &text);
}
