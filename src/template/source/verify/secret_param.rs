//! The parameter in which a sender presents the secret itself: it is read to verify and for nothing else, so that its text
//! is kept nowhere.

use crate::domain::mask::MASK;
use crate::domain::rejection::signature::SignaturePlace;
use crate::template::source::definition::{Field, FieldRule, ValuePiece};
use crate::template::source::param_names::{ParamNames, fold};
use crate::template::source::params::{Param, Params};
use crate::template::source::verify::scheme::Verification;
use crate::template::toml_doc::table::Table;

/// The parameters with the secret's value masked, however often and in whatever case it is there.
pub(crate) fn masked(mut params: Params, scheme: Option<&Verification>) -> Params {
    let places = scheme.map(Verification::secret_places).unwrap_or_default();
    let secret = |place: &SignaturePlace| match place {
        SignaturePlace::Parameter(name) => Some(fold(name)),
        SignaturePlace::Header(_) => None,
    };
    let secrets: Vec<String> = places.iter().filter_map(secret).collect();
    if secrets.is_empty() {
        return params;
    }
    let is_secret = |param: &Param| secrets.contains(&fold(param.name.trim()));
    for param in params.pairs.iter_mut().filter(|param| is_secret(param)) {
        param.value = String::from_utf8_lossy(MASK).into_owned();
        param.raw = MASK.to_vec();
    }
    params.repeated.retain(|param| !is_secret(param));
    params
}

/// The places of the secret among the names of a template.
pub(crate) fn places(names: &ParamNames, scheme: Option<&Verification>) -> Vec<usize> {
    let secret = |place: &SignaturePlace| match place {
        SignaturePlace::Parameter(name) => fold(name),
        SignaturePlace::Header(name) => fold(&format!("header:{name}")),
    };
    let places = scheme.map(Verification::secret_places).unwrap_or_default();
    let secrets: Vec<String> = places.iter().map(secret).collect();
    (0..names.len()).filter(|index| secrets.contains(&fold(names.name(*index)))).collect()
}

/// That a field reads the secret, which is at these places, is a problem.
pub(crate) fn check_unread(root: &Table<'_>, fields: &[(Field, Vec<FieldRule>)], secret: &[usize]) {
    let reads = |rule: &FieldRule| match rule {
        FieldRule::One(index) => secret.contains(index),
        FieldRule::Join(pieces) => {
            pieces.iter().any(|piece| matches!(piece, ValuePiece::Param(index) if secret.contains(index)))
        }
    };
    if let Some((field, _)) = fields.iter().find(|(_, rules)| rules.iter().any(reads)) {
        let what = format!("`{}` reads the secret, by which [verify] knows the network", field.name());
        root.problem("map", what, "map another parameter: a secret is never part of a conversion");
    }
}
