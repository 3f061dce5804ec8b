//! Consume calls whose response is cut off or broken.

use super::*;

#[tokio::test]
async fn lines_may_be_cut_anywhere() {
    let text = format!("\n{LINE}\r\n\n{{\"partition\":0,\"offset\":10}}\n");
    let cuts: Vec<&[u8]> = text.as_bytes().chunks(7).collect();
    let mut bytes = streamed(&[]).into_bytes();
    for cut in cuts {
        bytes.extend([format!("{:x}\r\n", cut.len()).as_bytes(), cut, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n\r\n");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        for byte in bytes {
            socket.write_all(&[byte]).await.unwrap();
            socket.flush().await.unwrap();
        }
    });
    let mut stream = client(&base).consume(subscription());
    let one = stream.next().await.unwrap().unwrap();
    assert_eq!((one.partition, one.offset, one.attempts, &*one.key, &*one.value), (2, 9, 1, "k", "grün"));
    let two = stream.next().await.unwrap().unwrap();
    assert_eq!((two.partition, two.offset, two.attempts, &*two.key, &*two.value), (0, 10, 1, "", ""));
    assert!(stream.next().await.unwrap().is_none());
    assert!(!format!("{one:?}").contains("grün"), "what is in a queue does not belong in a log");
}

#[tokio::test]
async fn a_stream_that_breaks_inside_a_line_or_a_character_is_interrupted() {
    let head = format!("HTTP/1.1 200 OK\r\n\r\n{LINE}\n");
    let orderly = format!("{head}{{\"partition\":0,\"off");
    let u_umlaut = LINE.find('ü').unwrap();
    let mut mid_character = format!("{head}{LINE}").into_bytes();
    mid_character.truncate(head.len() + u_umlaut + 1);
    // The last one is not UTF-8, so `serve`, which takes strings, can't send it.
    for bytes in [streamed(&[LINE, "\n", "{\"part"]).into_bytes(), orderly.into_bytes(), mid_character] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            request(&mut socket).await;
            socket.write_all(&bytes).await.unwrap();
        });
        let client = client(&base);
        let mut stream = client.consume(subscription());
        let whole = stream.next().await.unwrap().unwrap();
        let broken = stream.next().await.unwrap_err();
        assert!(matches!(broken, Error::Interrupted(_)), "{broken:?}");
        assert!(stream.next().await.unwrap().is_none(), "and stays so");
        // No server is left to ask: nothing is sent.
        assert_eq!(client.ack(whole.token, Proof, SOON).await.unwrap(), Acked::Gone);
    }
}

#[tokio::test]
async fn a_line_that_can_not_be_read_ends_the_stream_with_an_error() {
    for line in ["{bad", "<html>", "{}", r#"{"partition":0}"#, r#"{"partition":-1,"offset":0}"#, "null"] {
        let (next, mut stream, _) = first(streamed(&[line, "\n", LINE, "\n"])).await;
        let error = next.unwrap_err();
        assert!(matches!(error, Error::Malformed { what: "line", .. }), "{line}: {error:?}");
        assert!(stream.next().await.unwrap().is_none(), "nothing behind it is delivered");
    }
    let chunk = "x".repeat(13 * 1024 * 1024);
    let (next, ..) = first(streamed(&[&chunk, &chunk])).await;
    assert!(matches!(next, Err(Error::LineTooLong { limit: 26_214_400 })), "{next:?}");
}

#[tokio::test]
async fn the_longest_message_fits_a_line() {
    let value = "\u{1}".repeat(MAX_VALUE);
    let line = serde_json::json!({"partition": 0, "offset": 1, "value": value}).to_string();
    let (next, ..) = first(streamed(&[&line, "\n"])).await;
    assert_eq!(next.unwrap().unwrap().value, value);
}

#[tokio::test]
async fn tokens_die_with_their_stream() {
    let (next, stream, client) = first(streamed(&[LINE, "\n"])).await;
    drop(stream);
    let acked = client.ack(next.unwrap().unwrap().token, Proof, SOON).await;
    assert_eq!(acked.unwrap(), Acked::Gone, "and nothing is sent, for no server is left");
}

#[tokio::test]
async fn waiting_for_a_message_can_be_given_up_at_any_point() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = client(&format!("http://{}", listener.local_addr().unwrap())).consume(subscription());
    let (tell, mut told) = mpsc::channel::<()>(1);
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        request(&mut socket).await;
        for byte in streamed(&[LINE, "\n"]).as_bytes() {
            // One byte for each time that the reader has given up.
            told.recv().await.unwrap();
            socket.write_all(std::slice::from_ref(byte)).await.unwrap();
        }
        told.recv().await;
    });
    let delivery = loop {
        tokio::select! {
            biased;
            next = stream.next() => break next.unwrap().unwrap(),
            sent = tell.send(()) => sent.unwrap(),
        }
    };
    assert_eq!(delivery.value, "grün");
}
