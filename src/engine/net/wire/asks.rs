//! Commands on a slot of a cluster that is on its way to another server: the one that receives it takes them only
//! behind ASKING, which counts for the next command alone.
//!
//! A server that is asked so answers for keys that it has already, and redirects nothing. Each ASKING has a reply of
//! its own, in front of that of its command.

use redis::{Pipeline, Value};

/// The same commands, each behind an ASKING.
pub fn asking(pipeline: &Pipeline) -> Pipeline {
    let mut asking = Pipeline::with_capacity(pipeline.len() * 2);
    for command in pipeline.cmd_iter() {
        asking.cmd("ASKING");
        asking.add_command(command.clone());
    }
    asking
}

/// The replies to the commands, without those to the ASKING in front of each.
pub fn asked(values: Vec<Value>) -> Vec<Value> {
    values.into_iter().skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use redis::{Pipeline, Value};

    use super::{asked, asking};

    #[test]
    fn each_command_stands_behind_an_asking_and_each_reply_behind_one() {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("GET").arg("a");
        pipeline.cmd("PTTL").arg("a");
        let sent = String::from_utf8(asking(&pipeline).get_packed_pipeline()).expect("text");
        let words: Vec<_> =
            sent.split("\r\n").filter(|word| word.starts_with(|c: char| c.is_ascii_uppercase())).collect();
        assert_eq!(words, ["ASKING", "GET", "ASKING", "PTTL"]);
        assert_eq!(asked(vec![Value::Okay, Value::Int(1), Value::Okay, Value::Int(2)]), [Value::Int(1), Value::Int(2)]);
    }
    #[test]
    fn a_command_that_is_refused_keeps_the_others_in_their_places() {
        let replies = asked(vec![Value::Okay, Value::Nil, Value::Okay, Value::Int(2)]);
        assert_eq!(replies, [Value::Nil, Value::Int(2)]);
    }

    #[test]
    fn where_nothing_is_asked_nothing_is_sent() {
        assert!(asking(&Pipeline::new()).is_empty());
        assert!(asked(Vec::new()).is_empty());
    }
}
