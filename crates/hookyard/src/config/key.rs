//! The names of all settings: key, environment variable, flag, default, meaning.
//!
//! A contract: other tools rely on these names. The reader of settings, `config show` and the reference page go by this
//! one table.

/// A setting's names and form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// The key in `hookyard.toml`; a dot stands between a table and its key.
    pub(crate) name: &'static str,
    /// The environment variable.
    pub(crate) environment: &'static str,
    /// Its form in a file and how it is shown.
    pub(crate) form: Form,
    /// The default as people read it.
    pub(crate) default: &'static str,
    /// What it does, as the reference page says it.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by the test that writes the reference page"))]
    pub(crate) meaning: &'static str,
}

/// What a setting looks like in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A text.
    Text,
    /// A text that is a URL and may hold a password.
    Url,
    /// A text that is never shown. `<key>_file` and `<VARIABLE>_FILE` name a file that holds it.
    Secret,
    /// Several of them; in the environment with commas between.
    Secrets,
    /// A list of texts, or one text with commas between.
    List,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
}

impl Key {
    /// The flag of `serve` that sets it, if there is one: the key with dashes.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// The table it stands in (empty for the root) and its name there.
    pub(crate) fn split(&self) -> (&'static str, &'static str) {
        self.name.split_once('.').unwrap_or(("", self.name))
    }
}

macro_rules! keys {
    ($($constant:ident = $name:literal, $environment:literal, $form:ident, $default:literal, $meaning:literal;)*) => {
        $(pub(crate) const $constant: Key =
            Key { name: $name, environment: $environment, form: Form::$form, default: $default, meaning: $meaning };)*
        /// All of them, in the order of the reference page.
        pub(crate) const KEYS: &[Key] = &[$($constant,)*];
    };
}

keys! {
    LISTEN = "listen", "HOOKYARD_LISTEN", Text, "127.0.0.1:8080",
        "Where the doors listen. With `WEBHOOK_PORT` set and no value here: `0.0.0.0:<port>`.";
    DOORS_LISTEN = "doors_listen", "HOOKYARD_DOORS_LISTEN", Text, "none",
        "A second address that carries only the inbound doors. Refused by this version, which has none.";
    ROLE = "role", "HOOKYARD_ROLE", Text, "all",
        "What this node does: `all`, `doors` to accept without delivering, or `workers` to deliver without accepting; the last needs `database`.";
    DATA = "data", "HOOKYARD_DATA", Text, "./hookyard-data",
        "The directory of the embedded database and the generated keys; made with mode 0700. One process at a time. Not used with `database`.";
    DATABASE = "database", "HOOKYARD_DATABASE", Url, "SQLite in `data`",
        "A `postgres://…` database instead of the embedded one, for several nodes; `jwt_secret` and `main_secret` are required then.";
    DATABASE_LISTEN = "database_listen", "HOOKYARD_DATABASE_LISTEN", Url, "none",
        "The same database without a pooler in between, to hear at once what other nodes change; without it they are asked every second. May be the same URL.";
    DATABASE_SCHEMA = "database_schema", "HOOKYARD_DATABASE_SCHEMA", Text, "hookyard",
        "The schema of `database`; made if it is not there.";
    NODE = "node", "HOOKYARD_NODE", Text, "the host's name and the port of `listen`",
        "This node's name among those of one `database`. No two that run at the same time may have the same.";
    PUBLIC_URL = "public_url", "HOOKYARD_PUBLIC_URL", Url, "from `listen`",
        "How the world reaches this server. The guard lets no webhook go there unless `egress.allow` names it.";
    JWT_SECRET = "jwt_secret", "HOOKYARD_JWT_SECRET", Secret, "generated, kept in `data`",
        "Signs and checks API tokens. Whoever has it may make any token.";
    MAIN_SECRET = "main_secret", "HOOKYARD_MAIN_SECRET", Secrets, "generated, kept in `data`",
        "Encrypts secrets at rest. Of several, the first encrypts and all decrypt, so that it can be changed.";
    ADMIN_PASSWORD = "admin_password", "HOOKYARD_ADMIN_PASSWORD", Secret, "generated, printed once",
        "The dashboard's login. No effect in this version, which has no dashboard.";
    RETRY_SCHEDULE = "retry_schedule", "HOOKYARD_RETRY_SCHEDULE", List, "5s,5m,30m,2h,5h,10h,10h",
        "How long after a failed attempt the next one is made, where the endpoint says nothing; at most 100 delays.";
    RETRY_JITTER = "retry_jitter", "HOOKYARD_RETRY_JITTER", Number, "0.2",
        "The share, 0 to 1, by which each delay of such a schedule varies either way.";
    REQUEST_TIMEOUT = "request_timeout", "HOOKYARD_REQUEST_TIMEOUT", Text, "15s",
        "How long an attempt may take, from DNS to the last byte, where the endpoint says nothing.";
    DISABLE_AFTER = "disable_after", "HOOKYARD_DISABLE_AFTER", Text, "120h",
        "After how long of nothing but failure an endpoint is disabled.";
    REQUIRE_HTTPS = "require_https", "HOOKYARD_REQUIRE_HTTPS", Boolean, "false",
        "Refuse endpoints that are not `https`; an application may say otherwise for its own.";
    EGRESS_ALLOW = "egress.allow", "HOOKYARD_EGRESS_ALLOW", List, "none",
        "What the guard lets through beside public addresses: networks, addresses and names, with or without a port.";
    EGRESS_TRUST_FILES = "egress.trust_files", "HOOKYARD_EGRESS_TRUST_FILES", Boolean, "true",
        "Whether hosts that the operator's files name may be on loopback and private networks. Metadata addresses never.";
    EGRESS_PROXY = "egress.proxy", "HOOKYARD_EGRESS_PROXY", Url, "none",
        "A forward proxy for everything outgoing. Refused by this version.";
    DEFAULT_SIGNATURE = "default_signature", "HOOKYARD_DEFAULT_SIGNATURE", Text, "hmac256",
        "How endpoints without a secret of their own sign: `hmac256` or `ed25519`. No effect in this version.";
    RETENTION = "retention", "HOOKYARD_RETENTION", Text, "90d",
        "How long messages and their attempts are kept; at least the longest schedule and a day.";
    API_ENABLED = "api.enabled", "HOOKYARD_API_ENABLED", Boolean, "true",
        "`false` closes `/api/v1`, and with it every command that talks to the server.";
    TRUSTED_PROXIES = "trusted_proxies", "HOOKYARD_TRUSTED_PROXIES", List, "none",
        "Networks whose `X-Forwarded-*` headers count. No effect in this version.";
    TLS_CERT = "tls.cert", "HOOKYARD_TLS_CERT", Text, "none",
        "A certificate chain, to serve HTTPS directly. Refused by this version: put a reverse proxy in front.";
    TLS_KEY = "tls.key", "HOOKYARD_TLS_KEY", Text, "none",
        "The key of `tls.cert`.";
    IMMICH_CONFIG = "immich_config", "IMMICH_WEBHOOKS_CONFIG", Text, "none",
        "Immich's own webhook file, unchanged; its path must be absolute. Declares the application `immich`.";
    KIOSK_CONFIG = "kiosk_config", "HOOKYARD_KIOSK_CONFIG", Text, "none",
        "Kiosk's own `config.yaml`, unchanged; only its `webhooks` are read. Declares the application `kiosk`.";
    KAI_GITHUB_SECRET = "kai.github_secret", "HOOKYARD_KAI_GITHUB_SECRET", Secret, "`WEBHOOK_SECRET`",
        "The secret of Kai's GitHub door. Refused by this version.";
    KAI_API_SECRET = "kai.api_secret", "HOOKYARD_KAI_API_SECRET", Secret, "`WEBHOOK_SECRET`",
        "The secret of Kai's API. Refused by this version.";
    LOG = "log", "HOOKYARD_LOG", Text, "info",
        "Which log lines are written: `error`, `warn`, `info`, `debug`, `trace`, or by part, such as `info,hookyard_engine=debug`.";
    LOG_FORMAT = "log_format", "HOOKYARD_LOG_FORMAT", Text, "text",
        "How log lines look: `text`, or `json` with one object a line.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_named_after_its_key() {
        // Immich's own variable names Immich's own file.
        for key in KEYS.iter().filter(|key| key.name != IMMICH_CONFIG.name) {
            let expected = format!("HOOKYARD_{}", key.name.replace('.', "_").to_uppercase());
            assert_eq!(key.environment, expected);
        }
    }
}
