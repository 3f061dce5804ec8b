//! `scheme` of a source, and the additional fields of some schemes. Other schemes reject these fields as
//! unknown.

use std::{fmt::Display, str::FromStr};

use http::header::InvalidHeaderName;
use webhook_verify::{MacFormat, Scheme, Setting, Settings, Topic};

use super::{problems::Problems, section::Section};

/// Reads the scheme. None if its settings are unusable.
pub(super) fn read(section: &mut Section, problems: &mut Problems) -> Option<(Scheme, Option<Settings>)> {
    let name: String = section.required("scheme", "scheme = \"stripe\" or another", problems)?;
    let scheme = Scheme::named(&name);
    let scheme = scheme.map_err(|error| problems.add(section.path("scheme"), error)).ok()?;
    let settings = read_settings(&scheme, section, problems);
    Some((scheme, settings))
}

/// A missing or malformed required setting makes the scheme unusable. All settings are read anyway, to report all problems.
fn read_settings(scheme: &Scheme, section: &mut Section, problems: &mut Problems) -> Option<Settings> {
    let mut settings = Settings::default();
    let mut complete = true;
    if scheme.takes(Setting::PublicUrl) {
        // Behind a custom domain, the event does not contain the URL that the provider called.
        let expected = "public_url = \"https://…\", as it stands at the provider";
        settings.public_url = parsed("public_url", expected, section, problems);
        complete &= settings.public_url.is_some();
    }
    if scheme.takes(Setting::Topics) {
        settings.topics = topics(section, problems);
        complete &= !settings.topics.is_empty();
    }
    if scheme.takes(Setting::Header) {
        settings.header = parsed("header", "header = \"x-signature\"", section, problems);
        complete &= settings.header.is_some();
    }
    if scheme.takes(Setting::TokenHeader) {
        let name: Option<String> = section.optional("header", "header = \"authorization\"", problems);
        let header = name.as_deref().map(str::parse);
        settings.header = header.transpose().unwrap_or_else(|error: InvalidHeaderName| {
            problems.add(section.path("header"), error);
            None
        });
    }
    if scheme.takes(Setting::Prefix) {
        let prefix = section.optional("prefix", "a text such as \"sha256=\"", problems);
        settings.prefix = prefix.unwrap_or_default();
    }
    if scheme.takes(Setting::Mac) {
        let encoding = section.optional("encoding", "\"hex\" or \"base64\"", problems);
        let algorithm = section.optional("algorithm", "\"sha256\" or \"sha512\"", problems);
        settings.mac =
            MacFormat { encoding: encoding.unwrap_or_default(), algorithm: algorithm.unwrap_or_default() };
    }
    complete.then_some(settings)
}

/// Reads the topics. None if one of them can't be used.
fn topics(section: &mut Section, problems: &mut Problems) -> Vec<Topic> {
    let expected = "topics = [\"arn:aws:sns:us-east-1:123456789012:orders\"]";
    let arns: Option<Vec<String>> = section.required("topics", expected, problems);
    if arns.as_ref().is_some_and(Vec::is_empty) {
        problems.add(section.path("topics"), format!("empty; nobody could send. Write {expected}"));
    }
    let mut topics = Vec::new();
    for arn in &arns.unwrap_or_default() {
        match arn.parse() {
            Ok(topic) => topics.push(topic),
            Err(error) => problems.add(section.path("topics"), format!("{arn:?} is {error}")),
        }
    }
    topics
}

fn parsed<T: FromStr<Err: Display>>(
    field: &'static str,
    expected: &str,
    section: &mut Section,
    problems: &mut Problems,
) -> Option<T> {
    let text: String = section.required(field, expected, problems)?;
    text.parse().map_err(|error| problems.add(section.path(field), error)).ok()
}
