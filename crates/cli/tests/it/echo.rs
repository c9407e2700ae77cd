//! `chaski serve echo`.

use serde_json::{Value, json};

use crate::support::{Chaski, command, needs, text};

fn curl(args: &[&str]) -> Value {
    serde_json::from_str(&text(command("curl").args(["-sS", "--max-time", "30"]).args(args).output().unwrap())).unwrap()
}

#[test]
fn a_request_comes_back_as_json() {
    needs!("a_request_comes_back_as_json", "curl");
    let echo = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0"]);
    let url = format!("http://{}/a?b=c", echo.addr);
    let seen = curl(&["-X", "PUT", "-H", "X-One: 1", "-H", "X-One: 2", "-H", "User-Agent: me", "-d", "hello", &url]);
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["uri"], "/a?b=c");
    assert_eq!(seen["version"], "HTTP/1.1");
    assert_eq!(seen["headers"]["x-one"], json!(["1", "2"]));
    assert_eq!(seen["headers"]["user-agent"], json!(["me"]));
    assert_eq!(seen["body"], "hello");
    assert_eq!(seen["body_bytes"], 5);
    assert_eq!(seen["server"], echo.addr.to_string());
    assert!(seen["client"].as_str().unwrap().starts_with("127.0.0.1:"));
}

#[test]
fn bytes_that_are_no_text_come_back_in_base64() {
    needs!("bytes_that_are_no_text_come_back_in_base64", "curl", "printf");
    let echo = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0"]);
    let script = format!("printf '\\377\\376' | curl -sS --max-time 30 --data-binary @- http://{}/", echo.addr);
    let seen: Value = serde_json::from_str(&text(command("sh").args(["-c", &script]).output().unwrap())).unwrap();
    assert_eq!(seen["body"], Value::Null);
    assert_eq!(seen["body_base64"], "//4=");
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    needs!("a_body_beyond_the_limit_is_refused", "curl", "head");
    let echo = Chaski::start(&["serve", "echo", "--bind", "127.0.0.1:0"]);
    let script = format!(
        "head -c 3000000 /dev/zero | curl -sS --max-time 30 -o /dev/null -w '%{{http_code}}' --data-binary @- http://{}/",
        echo.addr
    );
    assert_eq!(text(command("sh").args(["-c", &script]).output().unwrap()), "413");
}
