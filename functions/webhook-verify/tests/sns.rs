//! SNS: accepted topics, allowed requests, and signed fields.

use super::{sample::*, *};
use crate::{certificate, confirmation, event};

const HERE: &str = "https://sns.us-east-1.amazonaws.com/";

fn message(change: impl Fn(&mut Value)) -> Sample {
    let mut body: Value = serde_json::from_slice(&sns("hi")).unwrap();
    change(&mut body);
    Sample { headers: Vec::new(), query: String::new(), body: body.to_string().into_bytes() }
}

fn asked(change: impl Fn(&mut Value)) -> Result<Option<String>, Refused> {
    let sample = message(change);
    let request = Signed { headers: &HeaderMap::new(), query: Some(""), body: &sample.body };
    Ok(certificate(&named("sns"), &request)?.map(|location| location.url(None)))
}

#[test]
fn only_snss_own_certificates_in_the_region_of_a_configured_topic_are_asked_for() {
    let url = format!("{HERE}SimpleNotificationService-0123456789abcdef.pem");
    assert_eq!(asked(|_| {}), Ok(Some(url.clone())));
    for other in [
        "http://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com:443/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com@evil.example/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com.evil.example/SimpleNotificationService-0.pem",
        "https://evil.example/https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-0.pem",
        "https://SNS.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://s3.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com/other/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com/../SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem?a=1",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem#.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0/../x.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0%2e.pem",
        " https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.us-east-1.amazonaws.com\\SimpleNotificationService-0.pem",
        "",
    ] {
        assert_eq!(
            asked(|body| body["SigningCertURL"] = json!(other)),
            Err(Refused::Body("SigningCertURL")),
            "{other}"
        );
    }
    for topic in [json!("arn:aws:sns:us-east-1:123456789012:other"), json!(null), json!([TOPIC])] {
        assert_eq!(asked(|body| body["TopicArn"] = topic.clone()), Err(Refused::Body("TopicArn")), "{topic}");
    }
}

#[test]
fn a_topic_is_named_by_its_arn() {
    for (arn, certificate) in [
        (TOPIC, "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem"),
        (
            "arn:aws:sns:eu-west-1:1:a.fifo",
            "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
        ),
        (
            "arn:aws-cn:sns:cn-north-1:1:a",
            "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0.pem",
        ),
        (
            "arn:aws-us-gov:sns:us-gov-west-1:1:a",
            "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-0.pem",
        ),
    ] {
        let topic: Topic = arn.parse().unwrap();
        assert_eq!(topic.certificate(certificate).unwrap().url(None), certificate);
        assert_eq!(
            topic.certificate(certificate).unwrap().url(Some("http://127.0.0.1:9/")),
            "http://127.0.0.1:9/SimpleNotificationService-0.pem"
        );
    }
    for other in [
        "",
        "arn:aws:sqs:us-east-1:123456789012:orders",
        "arn:aws:sns:us-east-1:123456789012",
        "arn:aws:sns:us-east-1:123456789012:orders:7f2c",
        "arn:aws:sns:evil.example/:1:a",
        "arn:aws:sns::1:a",
        "arn:aws:sns:us-east-1:abc:a",
        "arn:aws:sns:us-east-1:1:*",
        "arn:other:sns:us-east-1:1:a",
    ] {
        assert!(other.parse::<Topic>().is_err(), "{other}");
    }
}

fn subscription(change: impl Fn(&mut Value)) -> Value {
    let mut body = json!({
        "Type": "SubscriptionConfirmation", "TopicArn": TOPIC, "Token": "2336",
        "SubscribeURL": format!("{HERE}?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336"),
    });
    change(&mut body);
    body
}

#[test]
fn a_subscription_is_confirmed_at_sns_and_nowhere_else() {
    let ask = |change: &dyn Fn(&mut Value)| {
        confirmation(&named("sns"), &subscription(change)).map(|location| location.url(None))
    };
    let url = subscription(|_| {})["SubscribeURL"].as_str().unwrap().to_owned();
    assert_eq!(ask(&|_| {}), Some(url.clone()));
    for other in [
        url.replace("us-east-1.", "us-west-2."),
        url.replace("https", "http"),
        url.replace("Confirm", "Delete"),
        url.replace("?Action", "x?Action"),
        format!("{url} "),
        format!("{url}#"),
        format!("{url}{}", "a".repeat(2048)),
    ] {
        assert_eq!(ask(&|body| body["SubscribeURL"] = json!(other)), None, "{other}");
    }
    assert_eq!(ask(&|body| body["Type"] = json!("UnsubscribeConfirmation")), None);
    assert_eq!(ask(&|body| body["TopicArn"] = json!("arn:aws:sns:us-east-1:1:other")), None);
}

#[test]
fn no_line_of_a_message_becomes_another_field() {
    let scheme = named("sns");
    let text = format!(
        "Message\nhi\nMessageId\nm-1\nSubject\ns\nTimestamp\n2023-11-14T22:13:20.000Z\nTopicArn\n{TOPIC}\nType\nNotification\n"
    );
    let signed = |change: &dyn Fn(&mut Value)| {
        let sample = message(|body| {
            body["Subject"] = json!("s");
            body["Signature"] = json!(STANDARD.encode(rsa(text.as_bytes())));
            change(body);
        });
        check(&scheme, &sample, NOW)
    };
    assert!(signed(&|_| {}).is_ok());
    for (field, value, other) in
        [("MessageId", "m-1\nSubject\ns", "Subject"), ("Message", "hi\nMessageId\nm-1", "MessageId")]
    {
        let moved = signed(&|body| {
            body[field] = json!(value);
            body.as_object_mut().unwrap().remove(other);
        });
        assert!(moved.is_err(), "{field}");
    }
    for field in ["MessageId", "Subject", "Timestamp", "TopicArn"] {
        let lines = signed(&|body| body[field] = json!("a\nb"));
        assert_eq!(lines, Err(Refused::Body(field)), "{field}");
    }
    for (field, value) in
        [("SignatureVersion", json!("3")), ("Signature", json!("!")), ("Type", json!("Other"))]
    {
        assert_eq!(signed(&|body| body[field] = value.clone()), Err(Refused::Body(field)), "{field}");
    }
    assert_eq!(signed(&|body| body["SignatureVersion"] = json!("1")), Err(Refused::Forged));
    assert_eq!(signed(&|body| body["Message"] = json!("ho")), Err(Refused::Forged));
}

#[test]
fn templates_see_what_is_signed_and_nothing_else() {
    let body = json!({
        "Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Message": r#"{"order":7}"#, "Timestamp": "t",
        "MessageAttributes": { "a": { "Type": "String", "Value": "x" } }, "UnsubscribeURL": "u", "SigningCertURL": "c",
    });
    let seen = event(&named("sns"), body.clone());
    let expected = json!({ "Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Message": { "order": 7 }, "Timestamp": "t" });
    assert_eq!(seen, expected);
    for plain in ["7", "text", "\"text\"", "null"] {
        let mut body = body.clone();
        body["Message"] = json!(plain);
        assert_eq!(event(&named("sns"), body)["Message"], json!(plain));
    }
    assert_eq!(event(&named("sns"), json!([])), Value::Null);
}
