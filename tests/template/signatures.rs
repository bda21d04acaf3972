//! Every scheme against signatures that openssl made, or that were published: `fixtures/signatures`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use postbridge::domain::time::Time;
use postbridge::template::source::verify::scheme::{SecretTexts, Verification};
use serde::Deserialize;

use crate::support::signed_request::{Signed, scheme};

/// One file: what is signed, by what, and the command that prints the signature.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    about: String,
    from: Option<String>,
    secret: String,
    command: String,
    signature: String,
    /// What of line or body is changed into what, so that it is no longer what was signed.
    change: Option<[String; 2]>,
    received_at: Option<String>,
    base_url: Option<String>,
    opened: Option<String>,
    verify: String,
    line: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
}

fn vectors() -> Vec<(String, Vector)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/signatures");
    let mut found: Vec<(String, Vector)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let vector: Vector = toml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            assert!(!vector.about.is_empty() && vector.from.as_deref() != Some(""), "{name}");
            (name, vector)
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

impl Vector {
    /// The request with this text in the signature's place.
    fn with(&self, signature: &str) -> Signed {
        let fill = |text: &str| text.replace("{signature}", signature);
        Signed {
            line: fill(&self.line).into_bytes(),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), fill(value))).collect(),
            body: fill(&self.body).into_bytes(),
            secrets: vec![self.secret.clone()],
            base_url: self.base_url.clone().unwrap_or_default(),
            received_at: self.received_at.as_deref().and_then(Time::parse),
        }
    }

    fn signed(&self) -> Signed {
        self.with(&self.signature)
    }

    fn scheme(&self) -> Verification {
        scheme(&self.verify)
    }

    fn is_encrypted(&self) -> bool {
        self.opened.is_some()
    }

    /// What a signature that is readable and not the right one is refused as.
    fn refused(&self) -> Result<(), &'static str> {
        Err(if self.is_encrypted() { "cannot_decrypt" } else { "wrong_signature" })
    }
}

#[test]
fn each_vector_is_taken_and_there_is_one_of_each_kind() {
    let mut kinds: Vec<&str> = Vec::new();
    for (name, vector) in vectors() {
        assert_eq!(vector.signed().check(&vector.scheme()), Ok(()), "{name}");
        kinds.push(vector.scheme().kind());
    }
    kinds.dedup();
    for kind in ["hmac", "hmac-timestamped", "digest", "aes-256-cbc"] {
        assert!(kinds.contains(&kind), "{kind}");
    }
}

#[test]
fn the_signature_of_each_vector_is_what_its_command_prints() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("there is no openssl here");
        return;
    }
    for (name, vector) in vectors() {
        let output = Command::new("sh").args(["-c", &vector.command]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), vector.signature, "{name}");
    }
}

/// The text with the character there replaced by another of the same kind.
fn changed(text: &str, at: usize) -> String {
    let other = |c: char| match c {
        'A'..='F' => {
            if c == 'A' {
                'B'
            } else {
                'A'
            }
        }
        '0'..='9' => {
            if c == '0' {
                '1'
            } else {
                '0'
            }
        }
        'a' => 'b',
        _ if c.is_ascii_uppercase() => 'A',
        _ => 'a',
    };
    text.chars().enumerate().map(|(index, c)| if index == at { other(c) } else { c }).collect()
}

#[test]
fn a_signature_that_differs_in_any_character_is_refused() {
    for (name, vector) in vectors() {
        let scheme = vector.scheme();
        // The last character of base64 may hold bits of no byte.
        let length = vector.signature.trim_end_matches('=').len() - 1;
        for at in 0..length {
            let signed = vector.with(&changed(&vector.signature, at));
            assert_eq!(signed.check(&scheme), vector.refused(), "{name}, {at}");
        }
    }
}

#[test]
fn what_is_signed_cannot_be_changed() {
    for (name, vector) in vectors().into_iter().filter(|(_, vector)| !vector.is_encrypted()) {
        let [from, to] = vector.change.clone().unwrap();
        let change = |text: &str| text.replacen(&from, &to, 1);
        let (line, body) = (change(&vector.line), change(&vector.body));
        assert_ne!((&line, &body), (&vector.line, &vector.body), "{name}");
        let signed = Vector { line, body, ..vector.clone() }.signed();
        assert_eq!(signed.check(&vector.scheme()), Err("wrong_signature"), "{name}");
    }
}

#[test]
fn of_two_secrets_either_is_taken_and_another_is_not() {
    for (name, vector) in vectors() {
        let (scheme, right) = (vector.scheme(), vector.secret.clone());
        let with = |secrets: &[&str]| {
            let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
            Signed { secrets, ..vector.signed() }.check(&scheme)
        };
        assert_eq!(with(&["another", &right]), Ok(()), "{name}");
        assert_eq!(with(&[&right, "another"]), Ok(()), "{name}");
        assert_eq!(with(&["another", "one more"]), vector.refused(), "{name}");
        assert_eq!(with(&[&right.to_lowercase().to_uppercase().repeat(2)]), vector.refused(), "{name}");
        assert_eq!(with(&[]), vector.refused(), "{name}");
    }
}

#[test]
fn without_a_signature_each_is_called_unsigned() {
    for (name, vector) in vectors() {
        let mut signed = vector.with("");
        let prefix_alone = ["sha1=", "t=1764331200,v1=,v0="];
        signed.headers.retain(|_, value| !prefix_alone.iter().any(|prefix| value.starts_with(prefix)));
        assert_eq!(signed.check(&vector.scheme()), Err("missing_signature"), "{name}");
    }
}

#[test]
fn what_is_decrypted_is_the_body_that_was_encrypted() {
    let (_, vector) = vectors().into_iter().find(|(_, vector)| vector.is_encrypted()).unwrap();
    let secrets = SecretTexts::new(["another", vector.secret.as_str()]);
    let opened = vector.scheme().open(&vector.signed().body, &secrets).unwrap().unwrap();
    assert_eq!(String::from_utf8(opened).unwrap(), vector.opened.unwrap());
}
