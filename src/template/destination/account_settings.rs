//! The settings of one account: what they must be, and which of them are secret.

use std::collections::BTreeMap;

use url::Url;

use crate::domain::change_rules::ChangeRules;
use crate::domain::event::EventName;
use crate::template::destination::auth::Auth;
use crate::template::destination::digest::SigningKey;
use crate::template::destination::file::{SettingKind, SettingSpec};
use crate::template::destination::normalize::place;
use crate::template::destination::rendering::DestinationMode;
use crate::template::destination::sign_in::AccountSignIn;
use crate::template::destination::sign_in_spec::SignInSpec;
use crate::template::destination::spec::{DestinationSpec, SpecPart, SpecProblem};
use crate::template::diagnostic::{Problem, did_you_mean};

/// The fewest characters behind a host that are kept secret: fewer are no key, and to mask such a word
/// wherever it is would spoil what is shown.
const SHORTEST_SECRET_PATH: usize = 8;

/// What of a setting's value is never shown. Of an address with a secret path all that is behind
/// the host; its path and the values of its query by themselves too, for answers name them like that.
pub(crate) fn secrets_of(spec: &SettingSpec, value: &str) -> Vec<String> {
    if spec.secret {
        return vec![value.to_owned()];
    }
    if !spec.secret_path {
        return Vec::new();
    }
    let after_scheme = value.split_once("://").map_or(value, |(_, rest)| rest);
    let (authority, behind) = match after_scheme.find(['/', '?', '#']) {
        Some(at) => after_scheme.split_at(at),
        None => (after_scheme, ""),
    };
    let behind = behind.trim_start_matches('/');
    let (path, query) = behind.split_once(['?', '#']).unwrap_or((behind, ""));
    let values = query.split(['&', '#']).map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value));
    let login = authority.rsplit_once('@').map(|(login, _)| login);
    let long = [behind, path].into_iter().chain(values).filter(|text| text.len() >= SHORTEST_SECRET_PATH);
    long.chain(login).map(str::to_owned).collect()
}

/// A secret as it is, and as it is inside a JSON text where that differs.
pub(crate) fn spellings(secret: String) -> Vec<String> {
    let quoted = serde_json::Value::from(secret.as_str()).to_string();
    let escaped = quoted.trim_matches('"').to_owned();
    if escaped == secret { vec![secret] } else { vec![secret, escaped] }
}

pub(crate) fn unknown_setting(name: &str, specs: &[SettingSpec]) -> Problem {
    let known = || specs.iter().map(|spec| spec.name.as_str());
    let hint = match did_you_mean(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("settings are {}", known().collect::<Vec<_>>().join(", ")),
    };
    Problem::new(format!("there is no setting `{name}`"), hint)
}

/// What the account can inform the platform of: by its own word on what is rejected, where the template offers that.
///
/// # Errors
/// The template does not.
pub(crate) fn change_rules(spec: &DestinationSpec) -> Result<ChangeRules, SpecProblem> {
    let offered = spec.template.changes();
    let Some(on_rejected) = spec.on_rejected else { return Ok(offered.rules) };
    let all = offered.all_on_rejected();
    if all.contains(&on_rejected) {
        return Ok(ChangeRules { on_rejected, ..offered.rules });
    }
    let words: Vec<String> = all.iter().map(|word| format!("\"{}\"", word.as_str())).collect();
    let what = format!(
        "`on_rejected` is \"{}\", which `{}` does not offer",
        on_rejected.as_str(),
        spec.template.name()
    );
    let problem = Problem::new(what, format!("it may be {}; or take it out", words.join(" or ")));
    Err(SpecProblem { part: SpecPart::OnRejected, problem })
}

pub(crate) fn value_of(spec: &SettingSpec, given: &BTreeMap<String, String>) -> Option<String> {
    let given = given.get(&spec.name).map(|value| value.trim()).filter(|value| !value.is_empty());
    given.map(str::to_owned).or_else(|| spec.default.clone())
}

/// Never shows a value: it may be a secret.
pub(crate) fn check_setting(spec: &SettingSpec, value: Option<&str>) -> Result<(), Problem> {
    let name = &spec.name;
    let Some(value) = value else {
        if !spec.required {
            return Ok(());
        }
        let what = format!("the setting `{name}` ({}) is missing", spec.label);
        return Err(Problem::new(what, spec.hint.clone()));
    };
    // A key file has lines; what is wrong with it is said where it is read.
    if spec.kind == SettingKind::ServiceAccount {
        return Ok(());
    }
    if value.chars().any(char::is_control) {
        let what = format!("the setting `{name}` holds a control character");
        return Err(Problem::new(what, "paste it again as one line"));
    }
    match spec.kind {
        SettingKind::Text | SettingKind::ServiceAccount => Ok(()),
        SettingKind::Digits if value.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        SettingKind::Digits => {
            Err(Problem::new(format!("the setting `{name}` holds more than digits"), spec.hint.clone()))
        }
        SettingKind::Url => check_web_address(name, value),
        SettingKind::Country => place::country(value).map(drop).map_err(|_| {
            Problem::new(format!("the setting `{name}` is no country"), "write two letters, as in \"US\"")
        }),
        SettingKind::SigningKey => SigningKey::parse(value).map(|_| ()).map_err(|wrong| {
            let hint = "a signing key is `whsec_` and base64 of 24 to 64 bytes";
            Problem::new(format!("the setting `{name}` is no signing key: {wrong}"), hint)
        }),
    }
}

pub(crate) fn check_web_address(name: &str, text: &str) -> Result<(), Problem> {
    let url = Url::parse(text).ok();
    match url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        Some(_) => Ok(()),
        None => Err(Problem::new(
            format!("`{name}` is no web address"),
            "write it whole, as in https://example.com/path",
        )),
    }
}

pub(crate) fn check_test_mode(spec: &DestinationSpec, settings: &[Option<String>]) -> Vec<SpecProblem> {
    if spec.mode != DestinationMode::Test {
        return Vec::new();
    }
    let Some(test) = &spec.template.file.test else {
        let what = format!("`{}` has no test mode", spec.template.name());
        let problem = Problem::new(what, "use mode = \"shadow\" to see requests without sending them");
        return vec![SpecProblem { part: SpecPart::Mode, problem }];
    };
    let specs = spec.template.settings();
    let missing = test.needs.iter().filter(|index| matches!(settings.get(**index), Some(None)));
    missing
        .filter_map(|index| specs.get(*index))
        .map(|setting| {
            let what = format!("test mode needs the setting `{}` ({})", setting.name, setting.label);
            let problem = Problem::new(what, setting.hint.clone());
            SpecProblem { part: SpecPart::TestSetting(setting.name.clone()), problem }
        })
        .collect()
}

pub(crate) fn events(
    given: &BTreeMap<String, String>,
    problems: &mut Vec<SpecProblem>,
) -> BTreeMap<EventName, String> {
    let mut events = BTreeMap::new();
    for (ours, theirs) in given {
        match EventName::parse(ours) {
            Some(event) if !theirs.trim().is_empty() => {
                events.insert(event, theirs.trim().to_owned());
            }
            Some(_) => problems.push(SpecProblem::of_event(
                ours,
                Problem::new(
                    format!("the event `{ours}` has an empty name at the destination"),
                    "name it, or route it away by `only`",
                ),
            )),
            None => problems.push(SpecProblem::of_event(
                ours,
                Problem::new(format!("`{ours}` is no event name"), "an event name has 1 to 64 characters"),
            )),
        }
    }
    events
}

/// The account's way to sign in, where the template has any.
pub(crate) fn sign_in(
    spec: &DestinationSpec,
    settings: &[Option<String>],
    problems: &mut Vec<SpecProblem>,
) -> Option<AccountSignIn> {
    let ways: Vec<&SignInSpec> = spec.template.auth().iter().filter_map(Auth::sign_in).collect();
    let endpoint = spec.token_endpoint.as_deref();
    let wrong = endpoint.and_then(|endpoint| check_web_address("token_endpoint", endpoint).err());
    problems.extend(wrong.map(|problem| SpecProblem { part: SpecPart::TokenEndpoint, problem }));
    match AccountSignIn::of(&ways, (spec.template.settings(), settings), endpoint) {
        Ok(sign_in) => sign_in,
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}
