//! `verify`, `secret` and `allow_ips` of a `[[source]]`: how its postbacks are known as the network's own.

use ipnet::IpNet;

use crate::config::secrets::Secret;
use crate::config::server::network;
use crate::domain::address;
use crate::domain::presented_mask::is_findable;
use crate::template::diagnostic::Problem;
use crate::template::source::definition::SourceTemplate;
use crate::template::source::verify::rules::VerifyMode;
use crate::template::source::verify::scheme::Verification;
use crate::template::toml_doc::table::Table;
use crate::template::toml_doc::text::Text;

/// What a source says of it.
#[derive(Clone)]
pub struct SourceVerify {
    pub mode: VerifyMode,
    /// One, or two while the secret is being changed; none where nothing is signed.
    pub secrets: Vec<Secret>,
    /// Empty: postbacks are taken from any address.
    pub allow_ips: Vec<IpNet>,
}

/// The most secrets of one source: the one that ends and the one that begins.
const MOST_SECRETS: usize = 2;

/// Reads the three keys; `None` where there is a problem with them. Without the template little is known.
pub fn read(section: &Table<'_>, template: Option<&SourceTemplate>) -> Option<SourceVerify> {
    let mode = section.parsed("verify", |text| text.one_of(&VerifyMode::NAMES));
    let mode = if section.has("verify") { mode } else { Some(VerifyMode::Enforce) };
    let secrets = if section.has("secret") { section.all_parsed("secret", secret) } else { Some(Vec::new()) };
    let addresses = section.has("allow_ips").then(|| section.all_parsed("allow_ips", network));
    let (mode, secrets, allow_ips) = (mode?, secrets?, addresses.unwrap_or_else(|| Some(Vec::new()))?);
    let verify = SourceVerify { mode, secrets, allow_ips };
    let template = template?;
    let is_whole = check_addresses(section, &verify)
        & match template.verification() {
            Some(scheme) => check_secrets(section, &verify, (scheme, template.name())),
            None => check_without_scheme(section, &verify, template.name()),
        };
    is_whole.then_some(verify)
}

fn secret(text: &Text) -> Result<Secret, Problem> {
    if text.value.trim().is_empty() {
        let hint = "copy the secret that the network shows for its signatures";
        return Err(Problem::new("a secret is empty, so anyone could sign", hint));
    }
    Ok(Secret::new(&text.value))
}

/// Whether the addresses say something.
fn check_addresses(section: &Table<'_>, verify: &SourceVerify) -> bool {
    if section.is_empty_list("allow_ips") {
        let what = "`allow_ips` in [[source]] is empty: no postback could be received";
        section.problem("allow_ips", what, "name the network's addresses, or leave the key out");
        return false;
    }
    if let Some(own) = verify.allow_ips.iter().find(|network| !address::is_visitors(network.addr())) {
        let what = format!("`allow_ips` in [[source]] names {own}, which is no address of the internet");
        let hint = "name the network's own address; a proxy in front of the relay goes into trusted_proxies under \
                    [server], and the network's address is known behind it";
        section.warning("allow_ips", what, hint);
    }
    if !verify.allow_ips.is_empty() && verify.mode == VerifyMode::Off {
        let what = "`allow_ips` in [[source]] is not looked at, because of verify = \"off\"";
        section.warning(
            "allow_ips",
            what,
            "write verify = \"enforce\" or \"observe\", or leave one of them out",
        );
    }
    true
}

/// What a template with a scheme needs.
fn check_secrets(
    section: &Table<'_>,
    verify: &SourceVerify,
    (scheme, template): (&Verification, &str),
) -> bool {
    let kind = scheme.kind();
    if verify.secrets.is_empty() && (verify.mode != VerifyMode::Off || scheme.is_encrypted()) {
        let (what, or) = if scheme.is_encrypted() {
            ("without which no body can be decrypted", "")
        } else {
            ("by which its postbacks are verified", ", or write verify = \"off\" to take them unverified")
        };
        section.head_problem(
            format!("[[source]] has no `secret`, {what}: the template `{template}` says kind = \"{kind}\""),
            format!("add the secret that the network shows: secret = {{ env = \"…\" }}{or}"),
        );
        return false;
    }
    if verify.secrets.len() > MOST_SECRETS {
        let what = format!("`secret` in [[source]] names {} secrets", verify.secrets.len());
        section.problem("secret", what, "name one, or two while it is being changed");
        return false;
    }
    if kind == "basic" && !verify.secrets.iter().all(|secret| secret.reveal().contains(':')) {
        let what = "`secret` in [[source]] is not a user and a password";
        section.problem("secret", what, "write both with a colon between them: user:password");
        return false;
    }
    let is_plain = |secret: &Secret| !is_findable(secret.reveal().as_bytes());
    if scheme.secret_place().is_some() && verify.secrets.iter().any(is_plain) {
        let what =
            "`secret` in [[source]] has fewer than 8 characters, or is a number of fewer than 16 digits";
        let hint = "anyone may guess it: have the network give a longer one, if it can; where the network repeats it \
                    elsewhere in a request, name the place in `also_in` of the template's [verify], since so plain a \
                    text is not searched for in what is kept";
        section.warning("secret", what, hint);
    }
    if verify.secrets.iter().any(|secret| secret.reveal().trim() != secret.reveal()) {
        let what =
            "`secret` in [[source]] begins or ends with a space or a line end, which counts as a part of it";
        section.warning("secret", what, "take it off where the network's secret has none");
    }
    true
}

/// What says nothing where the template has no scheme.
fn check_without_scheme(section: &Table<'_>, verify: &SourceVerify, template: &str) -> bool {
    if !verify.secrets.is_empty() {
        let what =
            format!("`secret` in [[source]]: the template `{template}` has no [verify], so it signs nothing");
        section.problem("secret", what, "leave it out, or add [verify] to the template");
        return false;
    }
    if section.has("verify") && verify.mode != VerifyMode::Off && verify.allow_ips.is_empty() {
        let what = format!(
            "`verify` in [[source]]: the template `{template}` has no [verify], and there is no `allow_ips`, so nothing \
             is verified"
        );
        section.problem(
            "verify",
            what,
            "leave it out, name the network's addresses in `allow_ips`, or add [verify] to the template",
        );
        return false;
    }
    true
}
