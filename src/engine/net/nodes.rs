//! Nodes of a cluster, as a URL or options name them: each of them leads to all. Nothing here prints a password, a host
//! or a URL.
//!
//! **Forms.** `redis://user:password@h1:7000,h2:7000` with two hosts or more; `redis+cluster://h1:7000` (or
//! `redis-cluster://`, and `rediss…` for TLS) also with one. One host behind `redis://` may be a cluster's node, too,
//! and says so itself; what is named as a cluster has to be one. Credentials and TLS hold for all of its nodes.

use std::collections::BTreeMap;
use std::fmt;

use crate::engine::base::error::CallError;
use crate::engine::net::target::{Address, Place, Target, Trust, place};

/// The port of a node that names none.
const PORT: u16 = 6379;
/// So many nodes are given at the most.
const MOST: usize = 64;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nodes {
    /// At least one.
    pub places: Vec<Place>,
    /// How each is dialled, wherever it is: the address is not looked at.
    pub access: Target,
    /// Where an address that the cluster names is reached from here.
    pub map: BTreeMap<Place, Place>,
}

/// Only how many there are.
impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nodes").field("places", &self.places.len()).finish_non_exhaustive()
    }
}

/// The option `cluster`, as the caller gave it.
#[derive(Clone, Default)]
pub struct GivenCluster {
    /// `host` or `host:port`; none where the URL says it.
    pub nodes: Vec<String>,
    /// Pairs of `host:port`: what the cluster says, and where that is.
    pub address_map: Vec<(String, String)>,
}

fn refuse(what: &str) -> CallError {
    CallError::config(format!(
        "the URL of the cluster {what}: it must look like redis://user:password@host1:6379,host2:6379 \
         (redis+cluster:// with one host, rediss… for TLS), with special characters percent-encoded"
    ))
}

impl Nodes {
    /// None: the URL names one server, which may turn out to be a node.
    pub fn parse(url: &str, trust: &Trust) -> Option<Result<Self, CallError>> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_cluster = scheme.ends_with("+cluster") || scheme.ends_with("-cluster");
        let plain = scheme.trim_end_matches("+cluster").trim_end_matches("-cluster");
        if !matches!(plain, "redis" | "rediss" | "valkey" | "valkeys") {
            return None;
        }
        let authority = rest.find(['/', '?', '#']).map_or(rest, |end| &rest[..end]);
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        if !is_cluster && !hosts.contains(',') {
            return None;
        }
        let (before, behind) = rest.split_at(authority.len() - hosts.len());
        let first = hosts.split(',').next().unwrap_or_default();
        let one = format!("{plain}://{before}{first}{}", &behind[hosts.len()..]);
        Some(Target::parse(&one, trust.clone()).and_then(|access| {
            let given = hosts.split(',').map(str::to_owned).collect();
            Self::at(given, access, &[])
        }))
    }

    /// Where options name the nodes, or say where those are that the URL leads to.
    pub fn check(given: &GivenCluster, access: Target, named: Option<&Self>) -> Result<Self, CallError> {
        let nodes = match (named, &access.address) {
            (Some(named), _) => named.places.iter().map(|(host, port)| text_of(host, *port)).collect(),
            (None, Address::Tcp { host, port, .. }) if given.nodes.is_empty() => vec![text_of(host, *port)],
            (None, Address::Unix(_)) => return Err(CallError::config("a cluster is reached by TCP or TLS")),
            (None, Address::Tcp { .. }) => given.nodes.clone(),
        };
        Self::at(nodes, access, &given.address_map)
    }

    fn at(nodes: Vec<String>, access: Target, map: &[(String, String)]) -> Result<Self, CallError> {
        if nodes.is_empty() || nodes.len() > MOST {
            return Err(CallError::config(format!("cluster.nodes must have 1 to {MOST} entries")));
        }
        let node = |text: &String| place(text, PORT).ok_or_else(|| refuse("has a host that does not parse"));
        let pair = |(said, is): &(String, String)| {
            place(said, PORT)
                .zip(place(is, PORT))
                .ok_or_else(|| CallError::config("cluster.addressMap must map 'host:port' to 'host:port'"))
        };
        Ok(Self {
            places: nodes.iter().map(node).collect::<Result<_, CallError>>()?,
            access,
            map: map.iter().map(pair).collect::<Result<_, CallError>>()?,
        })
    }

    /// Each of them, as it is dialled.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.places.iter().map(|place| self.access.at(place.clone()))
    }
}

fn text_of(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::{GivenCluster, Nodes};
    use crate::engine::net::password::Password;
    use crate::engine::net::target::{Target, Trust};

    #[test]
    fn urls_of_clusters_are_those_with_several_hosts_or_a_name_for_it() {
        let parse = |url: &str| Nodes::parse(url, &Trust::default());
        for url in ["redis://h:1", "unix:/a,b", "redis+sentinel://a,b/m", "h1,h2", "http://a,b"] {
            assert!(parse(url).is_none(), "{url}");
        }
        let two = parse("rediss://u:p%2C@h1:7000,[::1]:7001/?db=0").expect("a cluster").expect("two hosts");
        assert_eq!(two.places, [("h1".to_owned(), 7000), ("::1".to_owned(), 7001)]);
        assert_eq!((two.access.kind(), two.access.password.as_ref().and_then(Password::text)), ("tls", Some("p,")));
        let one = parse("REDIS+CLUSTER://h").expect("a cluster").expect("one host");
        assert_eq!((one.places, one.access.kind()), (vec![("h".to_owned(), 6379)], "tcp"));
        for url in ["redis://a,", "redis://,a", "redis+cluster://", "redis://a,b:0", "redis://a,b:x", "redis://a, ?"] {
            assert!(parse(url).is_some_and(|parsed| parsed.is_err()), "{url}");
        }
    }

    #[test]
    fn options_name_the_nodes_or_map_those_of_the_url() {
        let access = Target::parse("redis://u:p@h:7", Trust::default()).expect("a URL");
        let pairs = vec![("a:1".to_owned(), "127.0.0.1:2".to_owned())];
        let given = GivenCluster { nodes: Vec::new(), address_map: pairs };
        let nodes = Nodes::check(&given, access.clone(), None).expect("a map");
        assert_eq!(nodes.places, [("h".to_owned(), 7)]);
        assert_eq!(nodes.map.get(&("a".to_owned(), 1)), Some(&("127.0.0.1".to_owned(), 2)));
        let odd = GivenCluster { nodes: vec!["a b".to_owned()], address_map: Vec::new() };
        assert!(Nodes::check(&odd, access, None).is_err());
    }
}
