//! How the client reads answers, from a broker or from a proxy in front of it.

use proptest::prelude::*;

use super::{super::error, *};

#[tokio::test]
async fn topics_may_be_strings_or_objects() {
    let list = json("200 OK", r#"{"topics":["a",{"name":"b","partitions":8}],"next":null}"#);
    let (base, _requests) = serve(vec![list]).await;
    assert_eq!(client(&base).topics(SOON).await.unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn a_missing_topic_is_known_by_its_text() {
    let produce = r#"{"error":"INVALID_ARGUMENT","message":"topic does not exist (create it first)"}"#;
    let error = produce_against(json("500 Internal Server Error", produce)).await.unwrap_err();
    assert!(!error.is_topic_missing(), "trouble is not a missing topic, whatever it says: {error}");
    let error = produce_against(json("400 Bad Request", produce)).await.unwrap_err();
    assert!(error.is_topic_missing(), "{error}");
    let consume = r#"{"error":"INVALID_ARGUMENT","message":"topic does not exist"}"#;
    let (next, mut stream, _) = first(json("400 Bad Request", consume)).await;
    assert!(next.unwrap_err().is_topic_missing());
    assert!(stream.opened_at().is_none() && stream.next().await.unwrap().is_none(), "the stream is over");
}

#[tokio::test]
async fn a_full_partition_may_say_when_to_come_back() {
    let body = r#"{"error":"RESOURCE_EXHAUSTED","message":"producer overload: partition_buffer_full"}"#;
    let in_body = body.replace('}', r#","retry_after_ms":1500}"#);
    for (headers, body, expected) in [
        ("Retry-After: 7\r\n", in_body.as_str(), Some(Duration::from_secs(7))),
        ("", in_body.as_str(), Some(Duration::from_millis(1500))),
        ("", body, None),
        ("Retry-After: Mon, 23 Nov 2026 13:04:41 GMT\r\n", body, None),
        ("Retry-After: -1\r\n", "busy", None),
    ] {
        let error = produce_against(answer("429 Too Many Requests", headers, body)).await.unwrap_err();
        let Error::Full { retry_after, .. } = error else { panic!("{error:?}") };
        assert_eq!(retry_after, expected, "{headers}{body}");
    }
}

#[tokio::test]
async fn a_proxys_page_gives_one_short_line() {
    let page = format!(
        "<html><head><style>x</style></head>\n<body><h1>502 Bad\u{7}</h1>{}",
        "gateway ".repeat(9000)
    );
    let error =
        produce_against(answer("502 Bad Gateway", "Content-Type: text/html\r\n", &page)).await.unwrap_err();
    let Error::Unavailable { status: 502, message } = error else { panic!("{error:?}") };
    assert!(message.starts_with("x 502 Bad gateway") && message.len() <= 200, "{message}");

    let error = produce_against(answer("404 Not Found", "", "404 page not found\n")).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker refused (404): 404 page not found");
    let error = produce_against(answer("401 Unauthorized", "", "")).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker refused (401): (nothing)");
    let html = "<a href=\"/v1/produce\">Moved Permanently</a>.";
    let error =
        produce_against(answer("301 Moved Permanently", "Location: /v1/\r\n", html)).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker refused (301): Moved Permanently .");
}

#[tokio::test]
async fn an_error_counts_for_its_status_however_its_body_goes_on() {
    let cut = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 99\r\n\r\n{\"err".to_owned();
    let error = produce_against(cut).await.unwrap_err();
    assert!(matches!(error, Error::Full { retry_after: None, .. }), "{error:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        socket.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").await.unwrap();
        // Until the client closes the connection.
        while socket.write_all(&b"<p>gone fishing</p>\n".repeat(99)).await.is_ok() {}
    });
    let error = client(&base).produce(message("k", "v"), SOON).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable { message, .. } if message.len() == 200), "{error:?}");
    serving.await.unwrap();
}

#[tokio::test]
async fn a_brokers_own_words_are_kept_short_too() {
    let body = serde_json::json!({"message": format!("a < b,\nc > d {}", "x".repeat(900))}).to_string();
    let Error::Rejected { message, .. } = produce_against(json("400 Bad Request", &body)).await.unwrap_err()
    else {
        panic!("a 400 is a refusal");
    };
    assert!(message.starts_with("a < b, c > d xxx") && message.len() == 200, "{message}");
}

#[tokio::test]
async fn a_topic_that_exists_is_success_in_every_version() {
    for answer in [
        json("409 Conflict", r#"{"error":"ALREADY_EXISTS"}"#),
        json("400 Bad Request", r#"{"error":"INVALID_ARGUMENT","message":"topic already exists: t"}"#),
    ] {
        let (base, _requests) = serve(vec![answer]).await;
        client(&base).ensure_topic("t", 8, SOON).await.unwrap();
    }
    let refusal = json("400 Bad Request", r#"{"error":"INVALID_ARGUMENT","message":"bad name"}"#);
    let (base, _requests) = serve(vec![refusal]).await;
    assert!(client(&base).ensure_topic("t", 8, SOON).await.is_err());
}

#[tokio::test]
async fn a_missing_topic_is_told_in_two_ways() {
    for text in ["topic does not exist (create it first)", "topic not found: t"] {
        let refusal =
            json("400 Bad Request", &format!(r#"{{"error":"INVALID_ARGUMENT","message":"{text}"}}"#));
        let (next, ..) = first(refusal).await;
        assert!(next.unwrap_err().is_topic_missing(), "{text}");
    }
}

#[tokio::test]
async fn success_that_no_broker_would_report_like_this_is_none() {
    for body in ["<html>Please log in</html>", "", "[]", "\"produced\"", "{\"status\":"] {
        let error = produce_against(answer("200 OK", "", body)).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { what: "answer", .. }), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn an_ack_can_be_refused_in_several_ways() {
    let refusals = [
        (json("409 Conflict", r#"{"error":"FAILED_PRECONDITION","message":"not owner"}"#), "another owner"),
        (
            json("400 Bad Request", r#"{"error":"INVALID_ARGUMENT","message":"partition out of range"}"#),
            "(400)",
        ),
        (
            json("400 Bad Request", r#"{"error":"INVALID_ARGUMENT","message":"topic does not exist"}"#),
            "no such topic",
        ),
        (answer("500 Internal Server Error", "", "wal: no space left"), "(500): wal: no space left"),
    ];
    for (answer, expected) in refusals {
        let (base, _requests) = serve(vec![streamed(&[LINE, "\n"]), answer]).await;
        let client = client(&base);
        // The server drops the stream's connection after writing; the line was sent before that.
        let mut stream = client.consume(subscription());
        let delivery = stream.next().await.unwrap().unwrap();
        let Unacked { error, messages } = client.ack(delivery.token, Proof, SOON).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(messages.len(), 1, "what it takes to ack it again is given back");
    }
}

#[tokio::test]
async fn a_cumulative_ack_is_carried_out_or_waits_or_is_not_there() {
    let page = || answer("404 Not Found", "", "404 page not found\n");
    let refusal = |status| json(status, r#"{"error":"FAILED_PRECONDITION","message":"gap"}"#);
    let cases = [
        ("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned(), None),
        (refusal("409 Conflict"), Some("in flight elsewhere: gap")),
        (refusal("400 Bad Request"), Some("in flight elsewhere: gap")),
        (page(), Some("does not have this call")),
        (answer("405 Method Not Allowed", "", ""), Some("does not have this call")),
        (answer("500 Internal Server Error", "", "disk"), Some("in trouble")),
    ];
    for (answer, expected) in cases {
        let (base, mut requests) = serve(vec![streamed(&[LINE, "\n"]), answer]).await;
        let client = client(&base);
        let mut stream = client.consume(subscription());
        let delivery = stream.next().await.unwrap().unwrap();
        let acked = client.ack_through(vec![(delivery.token, Proof)], SOON).await;
        assert_eq!(client.acks_singly(), expected == Some("does not have this call"));
        match (acked, expected) {
            (Ok(acked), None) => assert_eq!(acked, Acked::Done),
            (Err(Unacked { error, messages }), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
                assert_eq!(messages.len(), 1);
            }
            other => panic!("{other:?}"),
        }
        requests.recv().await.unwrap();
        let request = requests.recv().await.unwrap();
        let body = r#"{"topic":"t 1","group":"g","owner":"o&1","partition":2,"offset":9}"#;
        assert!(request.starts_with("POST /v1/ack-cumulative ") && request.ends_with(body), "{request}");
    }
}

/// A cumulative ack does not ack a message below the broker's commit. Such a message needs a plain ack.
#[tokio::test]
async fn a_redelivered_message_gets_a_plain_ack_after_the_cumulative_one() {
    let no_content = || "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned();
    let gone =
        json("400 Bad Request", r#"{"error":"INVALID_ARGUMENT","message":"message is not in-flight"}"#);
    for plain in [no_content(), gone] {
        let redelivered = LINE.replace(r#""offset":9,"attempts":1"#, r#""offset":8,"attempts":2"#);
        let answers = vec![streamed(&[&redelivered, "\n", LINE, "\n"]), no_content(), plain];
        let (base, mut requests) = serve(answers).await;
        let client = client(&base);
        let mut stream = client.consume(subscription());
        let mut messages = Vec::new();
        for _ in 0..2 {
            messages.push((stream.next().await.unwrap().unwrap().token, Proof));
        }
        assert_eq!(client.ack_through(messages, SOON).await.unwrap(), Acked::Done);
        let mut sent = Vec::new();
        while let Ok(request) = requests.try_recv() {
            sent.push(request);
        }
        let asks = |path: &str, offset| {
            let (start, end) = (format!("POST /v1/{path} "), format!("\"offset\":{offset}}}"));
            sent.iter().position(|request| request.starts_with(&start) && request.ends_with(&end))
        };
        let expected = (Some(1), Some(2), 3);
        assert_eq!((asks("ack-cumulative", 9), asks("ack", 8), sent.len()), expected, "{sent:?}");
    }
}

#[tokio::test]
async fn limits_are_asked_for_once_and_bound_what_is_sent() {
    let limits = json("200 OK", r#"{"max_inflight":32,"max_partition_bytes":4194304}"#);
    let produced = json("200 OK", r#"{"status":"produced"}"#);
    let (base, _requests) = serve(vec![limits, produced]).await;
    let client = client(&base);
    let large = "x".repeat(MAX_VALUE);
    let refused = client.produce(message("k", &large), SOON).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "not known yet: {refused:?}");
    for _ in 0..2 {
        assert_eq!(client.limits_once(SOON).await.unwrap().max_in_flight, Some(32));
    }
    client.produce(message("k", &large), SOON).await.unwrap();
}

#[tokio::test]
async fn a_broker_without_a_configuration_names_no_limit() {
    let (base, _requests) = serve(vec![answer("404 Not Found", "", "404 page not found\n")]).await;
    let client = client(&base);
    assert_eq!(client.limits_once(SOON).await.unwrap(), Limits::default());
    assert_eq!(client.limits_once(SOON).await.unwrap(), Limits::default(), "no server is left to ask again");
    assert!(client.limits(SOON).await.is_err(), "asked again");
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_different() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let silent = client(&base).topics(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(silent, Error::TimedOut), "{silent:?}");

    drop(listener);
    let refused = client(&base).topics(SOON).await.unwrap_err();
    assert!(matches!(refused, Error::Unreachable(_)), "{refused:?}");
    let expected = format!("the broker at {base} can't be reached: Connection refused");
    assert!(refused.to_string().starts_with(&expected), "{refused}");

    let broken = produce_against("HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{\"stat".to_owned()).await;
    assert!(matches!(broken, Err(Error::Interrupted(Some(_)))), "{broken:?}");
    let broken = produce_against(String::new()).await;
    assert!(matches!(broken, Err(Error::Interrupted(Some(_)))), "{broken:?}");
}

proptest! {
    #[test]
    fn no_error_page_makes_a_long_or_many_lined_message(body in proptest::collection::vec(any::<u8>(), 0..600)) {
        let line = error::excerpt(&body);
        prop_assert!(!line.is_empty() && line.chars().count() <= 200 && !line.contains(char::is_control));
    }
}
