//! The names of all settings: key, environment variable, flag, default.
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
    ($($constant:ident = $name:literal, $environment:literal, $form:ident, $default:literal;)*) => {
        $(pub(crate) const $constant: Key =
            Key { name: $name, environment: $environment, form: Form::$form, default: $default };)*
        /// All of them, in the order of the reference page.
        pub(crate) const KEYS: &[Key] = &[$($constant,)*];
    };
}

keys! {
    LISTEN = "listen", "HOOKYARD_LISTEN", Text, "127.0.0.1:8080";
    DOORS_LISTEN = "doors_listen", "HOOKYARD_DOORS_LISTEN", Text, "none";
    ROLE = "role", "HOOKYARD_ROLE", Text, "all";
    DATA = "data", "HOOKYARD_DATA", Text, "./hookyard-data";
    DATABASE = "database", "HOOKYARD_DATABASE", Url, "SQLite in `data`";
    PUBLIC_URL = "public_url", "HOOKYARD_PUBLIC_URL", Url, "from `listen`";
    JWT_SECRET = "jwt_secret", "HOOKYARD_JWT_SECRET", Secret, "generated, kept in `data`";
    MAIN_SECRET = "main_secret", "HOOKYARD_MAIN_SECRET", Secrets, "generated, kept in `data`";
    ADMIN_PASSWORD = "admin_password", "HOOKYARD_ADMIN_PASSWORD", Secret, "generated, printed once";
    RETRY_SCHEDULE = "retry_schedule", "HOOKYARD_RETRY_SCHEDULE", List, "5s,5m,30m,2h,5h,10h,10h";
    RETRY_JITTER = "retry_jitter", "HOOKYARD_RETRY_JITTER", Number, "0.2";
    REQUEST_TIMEOUT = "request_timeout", "HOOKYARD_REQUEST_TIMEOUT", Text, "15s";
    DISABLE_AFTER = "disable_after", "HOOKYARD_DISABLE_AFTER", Text, "120h";
    REQUIRE_HTTPS = "require_https", "HOOKYARD_REQUIRE_HTTPS", Boolean, "false";
    EGRESS_ALLOW = "egress.allow", "HOOKYARD_EGRESS_ALLOW", List, "none";
    EGRESS_TRUST_FILES = "egress.trust_files", "HOOKYARD_EGRESS_TRUST_FILES", Boolean, "true";
    EGRESS_PROXY = "egress.proxy", "HOOKYARD_EGRESS_PROXY", Url, "none";
    DEFAULT_SIGNATURE = "default_signature", "HOOKYARD_DEFAULT_SIGNATURE", Text, "hmac256";
    RETENTION = "retention", "HOOKYARD_RETENTION", Text, "90d";
    API_ENABLED = "api.enabled", "HOOKYARD_API_ENABLED", Boolean, "true";
    TRUSTED_PROXIES = "trusted_proxies", "HOOKYARD_TRUSTED_PROXIES", List, "none";
    TLS_CERT = "tls.cert", "HOOKYARD_TLS_CERT", Text, "none";
    TLS_KEY = "tls.key", "HOOKYARD_TLS_KEY", Text, "none";
    IMMICH_CONFIG = "immich_config", "IMMICH_WEBHOOKS_CONFIG", Text, "none";
    KAI_GITHUB_SECRET = "kai.github_secret", "HOOKYARD_KAI_GITHUB_SECRET", Secret, "`WEBHOOK_SECRET`";
    KAI_API_SECRET = "kai.api_secret", "HOOKYARD_KAI_API_SECRET", Secret, "`WEBHOOK_SECRET`";
    LOG = "log", "HOOKYARD_LOG", Text, "info";
    LOG_FORMAT = "log_format", "HOOKYARD_LOG_FORMAT", Text, "text";
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
