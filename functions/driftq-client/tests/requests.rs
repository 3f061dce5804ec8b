//! The requests that the client sends.

use super::*;

#[tokio::test]
async fn carry_what_the_strict_broker_knows_and_no_more() {
    let produced = json("200 OK", r#"{"status":"produced","topic":"t"}"#);
    let created = json("201 Created", r#"{"status":"created","name":"t","partitions":8}"#);
    let (base, mut requests) = serve(vec![created, produced.clone(), produced]).await;
    let client =
        Client::<Proof>::new(http(), format!("{base}/v1/").parse().unwrap(), Some("Bearer s3cret")).unwrap();

    client.ensure_topic("t", 8, SOON).await.unwrap();
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /v1/topics HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nauthorization: Bearer s3cret\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\n{\"name\":\"t\",\"partitions\":8}"), "{request}");

    client.produce(message("k", "v"), SOON).await.unwrap();
    let request = requests.recv().await.unwrap();
    let body = r#"{"topic":"t","key":"k","value":"v","envelope":{"run_id":"r","step_id":"s"}}"#;
    assert!(request.starts_with("POST /v1/produce HTTP/1.1\r\n") && request.ends_with(body), "{request}");

    client.produce(Produce { run_id: "", step_id: "", ..message("", "v") }, SOON).await.unwrap();
    let request = requests.recv().await.unwrap();
    assert!(request.ends_with(r#"{"topic":"t","key":"","value":"v","envelope":{}}"#), "{request}");
}

#[tokio::test]
async fn a_stream_is_asked_for_and_acked_in_its_own_name() {
    let gone =
        json("400 Bad Request", r#"{"error":"INVALID_ARGUMENT","message":"message is not in-flight"}"#);
    let acked = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned();
    let lines = streamed(&[&format!("{LINE}\n{LINE}\n")]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap()));
    let mut stream = client.consume(subscription());

    let serving = tokio::spawn(async move {
        let (mut open, _) = listener.accept().await.unwrap();
        let mut requests = vec![request(&mut open).await];
        open.write_all(lines.as_bytes()).await.unwrap();
        for answer in [acked, gone] {
            let (mut socket, _) = listener.accept().await.unwrap();
            requests.push(request(&mut socket).await);
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    assert_eq!(stream.opened_at(), None);
    let [one, two] = [stream.next().await, stream.next().await].map(|next| next.unwrap().unwrap());
    assert!(stream.opened_at().is_some());
    assert_eq!(client.ack(one.token, Proof, SOON).await.unwrap(), Acked::Done);
    assert_eq!(client.ack(two.token, Proof, SOON).await.unwrap(), Acked::Gone);

    let requests = serving.await.unwrap();
    let line = "GET /v1/consume?topic=t+1&group=g&owner=o%261&lease_ms=30000 HTTP/1.1\r\n";
    assert!(requests[0].starts_with(line), "{}", requests[0]);
    let body = r#"{"topic":"t 1","group":"g","owner":"o&1","partition":2,"offset":9}"#;
    assert!(requests[1].starts_with("POST /v1/ack ") && requests[1].ends_with(body), "{}", requests[1]);
}

#[tokio::test]
async fn a_message_that_fits_no_partition_is_not_sent() {
    let produced = json("200 OK", r#"{"status":"produced"}"#);
    let (base, mut requests) = serve(vec![produced]).await;
    let [fits, over] = [MAX_VALUE - 1, MAX_VALUE].map(|bytes| "x".repeat(bytes));
    let refused = client(&base).produce(message("k", &over), SOON).await;
    assert!(matches!(refused, Err(Error::TooLarge { bytes: 65_536, max: MAX_VALUE })), "{refused:?}");
    client(&base).produce(message("k", &fits), SOON).await.unwrap();
    assert!(requests.recv().await.unwrap().len() > MAX_VALUE);
}

#[test]
fn the_base_may_end_in_v1_or_not() {
    for (base, expected) in [
        ("http://h:8080", "http://h:8080/v1/"),
        ("http://h:8080/", "http://h:8080/v1/"),
        ("http://h:8080/v1", "http://h:8080/v1/"),
        ("https://h/driftq/v1//", "https://h/driftq/v1/"),
        (" http://h/v11 ", "http://h/v11/v1/"),
    ] {
        assert_eq!(format!("{:?}", client(base).address()), expected, "{base}");
    }
}

#[test]
fn the_authorisation_is_kept_out_of_logs() {
    for auth in ["Bearer s3cret", "X-Api-Key: s3cret"] {
        let client = Client::<Proof>::new(http(), "http://h".parse().unwrap(), Some(auth)).unwrap();
        let shown = format!("{client:?}");
        assert!(!shown.contains("s3cret") && shown.contains("Sensitive"), "{shown}");
    }
    for auth in ["", " ", "Bearer a\nb", "X-Api-Key:"] {
        assert_eq!(
            Client::<Proof>::new(http(), "http://h".parse().unwrap(), Some(auth)).err(),
            Some(Invalid::Auth),
            "{auth:?}"
        );
    }
}

#[test]
fn client_and_stream_may_cross_threads() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    sent::<Stream>();
    sent::<Delivery>();
    // Also with a proof that can't cross threads: the client holds no proof.
    shared::<Client<std::rc::Rc<()>>>();
}

#[tokio::test]
async fn messages_in_flight_are_counted_beside_the_api() {
    let metrics = "inflight_messages{group=\"g\",partition=\"1\",topic=\"t\"} 2\n";
    let (base, mut requests) =
        serve(vec![answer("200 OK", "", metrics), answer("404 Not Found", "", "")]).await;
    let client = client(&format!("{base}/broker/v1"));
    assert_eq!(client.in_flight("t", "g", SOON).await.unwrap(), [(1, 2)].into());
    assert!(requests.recv().await.unwrap().starts_with("GET /broker/metrics HTTP/1.1\r\n"));
    assert!(matches!(client.in_flight("t", "g", SOON).await, Err(Error::Rejected { status: 404, .. })));
}
