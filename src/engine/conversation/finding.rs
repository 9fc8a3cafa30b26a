//! Where servers are, by the word of those who know: what a sentinel is asked on a connection of its own, and what a
//! cluster's node knows of the cluster.

use redis::{Pipeline, Value};

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::fleet::endpoint::AddressMap;
use crate::engine::fleet::parse::parse_slots;
use crate::engine::fleet::topology::Topology;
use crate::engine::net::password::Password;
use crate::engine::net::reply::{Denial, classify, out_of_step, text};
use crate::engine::net::target::Place;
use crate::engine::net::target::Target;
use crate::engine::net::wire::Wire;

/// What a sentinel said.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// Where the primary is.
    pub primary: Place,
    /// Where the other sentinels are.
    pub others: Vec<Place>,
}

/// Asks for the primary of this name. In the older protocol, which every sentinel speaks.
pub async fn ask_sentinel(wire: &Wire, sentinel: &Target, name: &str) -> Result<Said, Trouble> {
    let mut pipeline = Pipeline::new();
    if let Some(password) = login_of(sentinel) {
        pipeline.cmd("AUTH").arg(sentinel.user.as_deref()).arg(password);
    }
    pipeline.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    pipeline.cmd("SENTINEL").arg("SENTINELS").arg(name);
    let mut replies = wire.greet(&pipeline).await?.into_iter();
    let login = login_of(sentinel).and_then(|_| replies.next());
    let (Some(primary), Some(others)) = (replies.next(), replies.next()) else { return Err(out_of_step()) };
    Ok(Said { primary: primary_of(primary, login)?, others: others_of(&others) })
}

/// The sentinels' own password, which is no function.
fn login_of(sentinel: &Target) -> Option<&str> {
    sentinel.password.as_ref().and_then(Password::text)
}

/// What a cluster's node knows of the cluster. `target`: how it was dialled. CLUSTER SLOTS and not SHARDS: every
/// server has it that has clusters.
pub async fn ask_node(wire: &Wire, target: &Target, map: &AddressMap) -> Result<Topology, Trouble> {
    let mut pipeline = Pipeline::new();
    pipeline.cmd("CLUSTER").arg("SLOTS");
    pipeline.cmd("CLUSTER").arg("INFO");
    let mut replies = wire.request(pipeline).await?.into_iter();
    let (Some(slots), info) = (replies.next(), replies.next()) else { return Err(out_of_step()) };
    if let Value::ServerError(error) = &slots {
        return Err(match Denial::by(error) {
            Some(_) => Trouble::new(
                Kind::Cluster,
                "the server is a cluster's node, and does not let this user ask for the others: allow CLUSTER SLOTS",
            ),
            None => classify(error),
        });
    }
    let topology = parse_slots(&slots, &target.address, map)?;
    Ok(topology.with_epoch(&info.as_ref().and_then(text).unwrap_or_default()))
}

fn primary_of(reply: Value, login: Option<Value>) -> Result<Place, Trouble> {
    match reply {
        Value::Array(parts) => match (parts.first().and_then(text), parts.get(1).and_then(port)) {
            (Some(host), Some(port)) if !host.is_empty() => Ok((host, port)),
            _ => Err(out_of_step()),
        },
        Value::Nil => Err(Trouble::new(
            Kind::Config,
            "the sentinels know no primary of that name: check the name behind the hosts",
        )),
        Value::ServerError(error) => Err(match (classify(&error), login) {
            (trouble, Some(Value::ServerError(_))) if trouble.kind == Kind::Auth => {
                Trouble::new(Kind::Auth, "the sentinels refused their own user or password (sentinel.password)")
            }
            (trouble, _) if trouble.kind == Kind::Auth => Trouble::new(
                Kind::Auth,
                "the sentinels want a password of their own: say it as sentinel.password, \
                 or as ?sentinel_password=… in the URL",
            ),
            (trouble, _) if matches!(trouble.kind, Kind::Server | Kind::Denied) => Trouble::new(
                Kind::Sentinel,
                "what was asked for the primary is no sentinel, or denies this user SENTINEL: \
                 the hosts of the URL must be those of the sentinels",
            ),
            (trouble, _) => trouble,
        }),
        _ => Err(out_of_step()),
    }
}

/// The others that can be reached, as far as this sentinel knows.
fn others_of(reply: &Value) -> Vec<Place> {
    let Value::Array(others) = reply else { return Vec::new() };
    others.iter().filter_map(|other| Some((field(other, "ip")?, field(other, "port")?.parse().ok()?))).collect()
}

fn field(fields: &Value, name: &str) -> Option<String> {
    match fields {
        Value::Map(fields) => {
            fields.iter().find(|(key, _)| text(key).as_deref() == Some(name)).and_then(|(_, v)| text(v))
        }
        Value::Array(fields) => {
            fields.chunks_exact(2).find(|pair| text(&pair[0]).as_deref() == Some(name)).and_then(|pair| text(&pair[1]))
        }
        _ => None,
    }
}

fn port(value: &Value) -> Option<u16> {
    text(value)?.parse().ok().filter(|port| *port > 0)
}
