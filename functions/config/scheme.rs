//! `scheme` of a source, and the fields that some schemes need beside it. They are read only for those: at another scheme
//! they are unknown.

use std::{fmt::Display, str::FromStr};

use http::HeaderName;

use super::{problems::Problems, section::Section};
use crate::ingest::signature::{HmacSettings, PublicUrl, Scheme};

pub(super) fn read(section: &mut Section, problems: &mut Problems) -> Option<Scheme> {
    let name: String = section.required("scheme", "scheme = \"stripe\" or another", problems)?;
    match name.as_str() {
        "twilio" => public_url(section, problems).map(Scheme::Twilio),
        "square" => public_url(section, problems).map(Scheme::Square),
        "hmac" => hmac(section, problems).map(Scheme::Hmac),
        name => or_problem(Scheme::plain(name), "scheme", section, problems),
    }
}

/// What these two sign, and what behind a custom domain nobody tells the function (webhook trap 7).
fn public_url(section: &mut Section, problems: &mut Problems) -> Option<PublicUrl> {
    let expected = "public_url = \"https://…\", as it stands at the provider";
    parsed("public_url", expected, section, problems)
}

fn hmac(section: &mut Section, problems: &mut Problems) -> Option<HmacSettings> {
    let header: Option<HeaderName> = parsed("header", "header = \"x-signature\"", section, problems);
    let prefix: Option<String> = section.optional("prefix", "a text such as \"sha256=\"", problems);
    let encoding = section.optional("encoding", "\"hex\" or \"base64\"", problems);
    let algorithm = section.optional("algorithm", "\"sha256\" or \"sha512\"", problems);
    Some(HmacSettings {
        header: header?,
        prefix: prefix.unwrap_or_default(),
        encoding: encoding.unwrap_or_default(),
        algorithm: algorithm.unwrap_or_default(),
    })
}

fn parsed<T: FromStr<Err: Display>>(
    field: &'static str,
    expected: &str,
    section: &mut Section,
    problems: &mut Problems,
) -> Option<T> {
    let text: String = section.required(field, expected, problems)?;
    or_problem(text.parse(), field, section, problems)
}

fn or_problem<T, E: Display>(
    result: Result<T, E>,
    field: &str,
    section: &Section,
    problems: &mut Problems,
) -> Option<T> {
    result.map_err(|error| problems.add(section.path(field), error)).ok()
}
