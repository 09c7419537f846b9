//! A file goes in and comes out.

use reqwest::Method;
use serde_json::json;
use tests::{TestApp, on_both_engines};

use crate::cast::{Asks, attach, file, form, get, listed, noise, path_of, say, send, text};

on_both_engines! {
    async fn what_is_uploaded_is_listed_and_comes_back(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        assert_eq!(listed(&ann, &message).await, json!([]));
        let (name, bytes) = ("여행 plan; x='1'.pdf", b"%PDF-1.7\nhello");
        let plan = attach(&ann, &message, name, bytes).await;
        let expected = json!({
            "id": plan["id"],
            "message_id": message,
            "name": name,
            "media_type": "application/pdf",
            "size": 14,
            "sha256": "79d6a59e1f914ed60b8216fcec3f3732c959e1636527e68c415bb52c1ef4ee79",
            "created_at": "2026-01-01T00:00:00Z",
        });
        assert_eq!(plan, expected);
        let other = attach(&ann, &message, "other", b"more").await;
        assert_eq!(listed(&ann, &message).await, json!([plan, other]));

        let answer = get(&ann, &path_of(&plan)).await;
        assert_eq!(answer.status(), 200);
        let headers = answer.headers().clone();
        let header = |name: &str| headers[name].to_str().unwrap();
        assert_eq!(header("content-type"), "application/pdf");
        let disposition = "attachment; filename*=UTF-8''%EC%97%AC%ED%96%89%20plan%3B%20x%3D%271%27.pdf";
        assert_eq!(header("content-disposition"), disposition);
        assert_eq!(header("content-length"), "14");
        assert_eq!(header("etag"), format!("\"{}\"", text(&plan, "sha256")));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "private, no-cache");
        assert!(header("content-security-policy").contains("default-src 'none'"));
        assert_eq!(answer.bytes().await.unwrap(), &bytes[..]);
    }

    async fn a_file_of_many_parts_comes_back_as_it_was(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        // As large as may be.
        let bytes = noise(1 << 20);
        let large = attach(&ann, &message, "large", &bytes).await;
        assert_eq!((text(&large, "media_type"), &large["size"]), ("application/octet-stream", &json!(1 << 20)));
        assert_eq!(get(&ann, &path_of(&large)).await.bytes().await.unwrap(), bytes);
    }

    async fn a_part_is_given_and_what_the_client_has_is_not_sent_again(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let digits = attach(&ann, &message, "digits", b"0123456789").await;
        let path = path_of(&digits);
        let ask = |range: &str| ann.ask(Method::GET, &path).header("range", range).send();
        for (range, told, bytes) in [
            ("bytes=2-4", "bytes 2-4/10", "234"),
            ("bytes=7-", "bytes 7-9/10", "789"),
            ("bytes=-1", "bytes 9-9/10", "9"),
            ("bytes=0-99", "bytes 0-9/10", "0123456789"),
        ] {
            let answer = ask(range).await.unwrap();
            assert_eq!((answer.status().as_u16(), &answer.headers()["content-range"]), (206, &told.parse().unwrap()));
            assert_eq!(answer.headers()["content-length"], bytes.len().to_string());
            assert_eq!(answer.text().await.unwrap(), bytes, "{range}");
        }
        let answer = ask("bytes=0-1,4-5").await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "0123456789"));
        let answer = ask("bytes=10-").await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-range"]), (416, &"bytes */10".parse().unwrap()));
        assert_eq!(answer.headers()["content-type"], "application/problem+json");

        let etag = format!("\"{}\"", text(&digits, "sha256"));
        let answer = ann.ask(Method::GET, &path).header("if-none-match", &etag).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["etag"]), (304, &etag.parse().unwrap()));
        assert!(answer.bytes().await.unwrap().is_empty());
        let answer = ann.ask(Method::HEAD, &path).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-length"]), (200, &"10".parse().unwrap()));
    }

    // The form says that all of these are web pages.
    async fn a_file_is_what_its_bytes_are_whatever_anybody_says(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        for (name, bytes, kind) in [
            ("page.html", &b"<!doctype html><script>alert(1)</script>"[..], "text/plain"),
            ("image.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "text/plain"),
            ("page.html", b"\x89PNG\r\n\x1a\n<script>", "image/png"),
            ("photo.png", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("photo.png", b"MZ\x90\0\x03", "application/octet-stream"),
        ] {
            let attached = attach(&ann, &message, name, bytes).await;
            assert_eq!(text(&attached, "media_type"), kind, "{name}");
            let answer = get(&ann, &path_of(&attached)).await;
            let headers = answer.headers();
            assert_eq!((&headers["content-type"], &headers["x-content-type-options"]), (&kind.parse().unwrap(), &"nosniff".parse().unwrap()));
            assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment;"), "{name}");
        }
    }

    async fn other_fields_of_the_form_are_passed_over(app: TestApp) {
        let ann = app.user("ann").await;
        let (message, _) = say(&ann).await;
        let other = |name: &str| crate::cast::field(&format!("name=\"{name}\""), &noise(600 << 10));
        let answer = send(&ann, &message, form(&[other("a"), file("f", b"the file"), other("b")])).await;
        assert_eq!(answer.status(), 201);
        let attached = answer.json().await.unwrap();
        assert_eq!(get(&ann, &path_of(&attached)).await.text().await.unwrap(), "the file");
    }

    async fn a_reply_has_files_as_any_message(app: TestApp) {
        let ann = app.user("ann").await;
        let said = ann.say("hello", None).await;
        let reply = text(&said, "message_id");
        let attached = attach(&ann, reply, "f", b"a").await;
        assert_eq!(listed(&ann, reply).await, json!([attached]));
        assert_eq!(listed(&ann, text(&said, "user_message_id")).await, json!([]));
    }
}
