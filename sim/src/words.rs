//! Bytes on their way, in words: the commands of a pipeline, and what a server sends back.

use holdfast::engine::net::resp::{Inbound, Message};
use redis::Value;

/// The longest part of a command or of a reply that is shown.
const SHOWN: usize = 40;

/// The commands in bytes that a process sends.
pub fn commands(bytes: &[u8]) -> String {
    let mut said = Vec::new();
    let _ = Inbound::default().feed(bytes, |message| {
        if let Message::Reply(Value::Array(words)) = message {
            let words: Vec<String> = words.iter().take(5).map(text).collect();
            said.push(words.join(" "));
        }
        Ok(())
    });
    said.retain(|command| !command.starts_with("ECHO"));
    if said.is_empty() { "a part of a command".to_owned() } else { said.join("; ") }
}

/// The replies and pushes in bytes that a server sends.
pub fn replies(bytes: &[u8]) -> String {
    let mut said = Vec::new();
    let _ = Inbound::default().feed(bytes, |message| {
        said.push(match message {
            Message::Reply(value) => text(&value),
            Message::Push(push) => {
                let keys: Vec<String> = push.data.iter().map(text).collect();
                format!("push {:?} {}", push.kind, keys.join(" "))
            }
        });
        Ok(())
    });
    if said.is_empty() { "a part of a reply".to_owned() } else { said.join("; ") }
}

fn text(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Okay => "OK".to_owned(),
        Value::BulkString(bytes) => shown(&String::from_utf8_lossy(bytes)),
        Value::SimpleString(text) => shown(text),
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().take(5).map(text).collect();
            format!("[{}]", parts.join(" "))
        }
        Value::ServerError(error) => shown(&format!("{} {}", error.code(), error.details().unwrap_or_default())),
        _ => "…".to_owned(),
    }
}

fn shown(text: &str) -> String {
    let text = text.replace('\0', "\\0").replace(['\r', '\n'], " ");
    if text.chars().count() <= SHOWN {
        return text;
    }
    format!("{}…", text.chars().take(SHOWN).collect::<String>())
}
