//! The only URLs that an SNS message can make us request: SNS's own, in the region of a configured topic. They are compared as text and not
//! parsed, so there is no second interpretation.

use std::str::FromStr;

/// An SNS topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    arn: String,
    /// `https://sns.us-east-1.amazonaws.com/`.
    endpoint: String,
}

/// Not the ARN of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the ARN of a topic; write it as SNS shows it, arn:aws:sns:us-east-1:123456789012:orders")]
pub struct NotATopic;

/// An SNS URL that is safe to request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    endpoint: String,
    path: String,
}

impl Topic {
    /// The topic's ARN.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// A signing certificate: `SimpleNotificationService-<hex>.pem`, at the root.
    pub(super) fn certificate(&self, url: &str) -> Option<Location> {
        let path = url.strip_prefix(&self.endpoint)?;
        let hash = path.strip_prefix("SimpleNotificationService-")?.strip_suffix(".pem")?;
        let legal = (1..=64).contains(&hash.len()) && hash.bytes().all(|b| b.is_ascii_alphanumeric());
        legal.then(|| self.at(path))
    }

    /// The URL that confirms a subscription: the root, with `Action=ConfirmSubscription` in the query.
    pub(super) fn confirmation(&self, url: &str) -> Option<Location> {
        let path = url.strip_prefix(&self.endpoint)?;
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"?=&:._-%".contains(&b);
        let wanted = path.starts_with("?Action=ConfirmSubscription&");
        (wanted && path.len() <= 2048 && path.bytes().all(legal)).then(|| self.at(path))
    }

    fn at(&self, path: &str) -> Location {
        Location { endpoint: self.endpoint.clone(), path: path.to_owned() }
    }
}

impl Location {
    /// The URL, at `endpoint` if one is given, as with `AWS_ENDPOINT_URL_SNS` in the AWS SDKs.
    #[must_use]
    pub fn url(&self, endpoint: Option<&str>) -> String {
        match endpoint {
            Some(endpoint) => format!("{}/{}", endpoint.trim_end_matches('/'), self.path),
            None => format!("{}{}", self.endpoint, self.path),
        }
    }
}

impl FromStr for Topic {
    type Err = NotATopic;

    fn from_str(arn: &str) -> Result<Self, NotATopic> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts[..] else { return Err(NotATopic) };
        let domain = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _ => return Err(NotATopic),
        };
        let of = |text: &str, legal: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|b| legal(&b));
        let known = of(region, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && of(account, u8::is_ascii_digit)
            && of(name, |b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
        let endpoint = format!("https://sns.{region}.{domain}/");
        if known { Ok(Self { arn: arn.to_owned(), endpoint }) } else { Err(NotATopic) }
    }
}
