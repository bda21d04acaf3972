//! Who may do what: keys, tokens, rights, proxies, and secrets that stay secret.

mod every_right;
mod kept_headers;
mod masked_secrets;
mod network_replies;
mod proxies;
mod refusal_log;
mod rights;
mod secret_strength;
mod stranger_limits;
mod tokens_and_proxies;
mod undeclared_proxies;
mod wrong_tokens;
