//! The options of a call beyond its key, value and TTL: a JSON object as `src/js` writes it.
//!
//! They stand in the text of the batch behind the value. Calls of a group have the same: they are read once, and each
//! of these calls says where they are.

/// Where in `Batch::extras` a call's options are, if it has any.
pub type More = Option<u32>;

/// What a call says beyond its key, value and TTL; most calls say nothing of it. `src/js/bridge/channel.js` packs it: a
/// JSON object with the members that were given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extras {
    /// Names, each once.
    pub tags: Vec<Box<str>>,
    /// `End`: those of them that the function named.
    pub named: Vec<Box<str>>,
    /// `End`: when the function began, in milliseconds of the engine's clock; it names tags by what it read since.
    pub since: u64,
    /// `Begin`: a stale value of up to this age, in milliseconds, is of use to the caller.
    pub window: u64,
    /// `Begin`: how eagerly an entry is refreshed before it expires; 0 for not at all. See `life::early`.
    pub beta: f64,
    /// `Increment`, `Take`, `SetIfAbsent`, `Hold`: rather fail than be answered by the in-process tier while Redis is
    /// away.
    pub reject: bool,
    /// `End`: how long the entry is kept beyond its TTL, in milliseconds.
    pub extra: u64,
    /// `End`: how long the function ran, in milliseconds; 0 for unknown.
    pub delta: u32,
}

/// Of calls that say nothing.
pub static NONE: Extras =
    Extras { tags: Vec::new(), named: Vec::new(), since: 0, window: 0, beta: 0.0, reject: false, extra: 0, delta: 0 };

impl Extras {
    /// Reads the text; what it does not hold is not said.
    pub fn parse(text: &str) -> Self {
        let given: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let millis = |name: &str| given[name].as_f64().map_or(0, |ms| ms as u64);
        let names = |name: &str| {
            let texts = given[name].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
            texts.map(Box::from).collect()
        };
        Self {
            tags: names("tags"),
            named: names("named"),
            since: millis("since"),
            window: millis("window"),
            beta: given["beta"].as_f64().unwrap_or(0.0),
            reject: given["reject"].as_bool().unwrap_or(false),
            extra: millis("extra"),
            delta: u32::try_from(millis("delta")).unwrap_or(u32::MAX),
        }
    }
}
