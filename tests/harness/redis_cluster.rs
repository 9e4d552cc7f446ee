//! A Redis Cluster of three primaries and a replica of each, whose slots can be moved and whose servers can be lost.

use std::time::{Duration, Instant};

use super::redis::{PASSWORD, PASSWORD_IN_URL, RedisServer};

const SLOTS: usize = 16384;

pub struct RedisCluster {
    /// Three primaries, then the replica of each.
    pub servers: Vec<RedisServer>,
}

impl RedisCluster {
    pub fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1", "--masterauth", PASSWORD];
        let options = [&options[..], &["--cluster-node-timeout", "1500"]].concat();
        let cluster = Self { servers: (0..6).map(|_| RedisServer::start_with(&options)).collect() };
        let first = cluster.servers[0].port().to_string();
        for (number, server) in cluster.servers.iter().enumerate() {
            assert_eq!(server.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]), "OK");
            if number < 3 {
                let slots: Vec<String> =
                    (0..SLOTS).filter(|slot| owner(*slot) == number).map(|s| s.to_string()).collect();
                let words: Vec<&str> =
                    ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
                assert_eq!(server.cli(&words), "OK");
            }
            assert_eq!(server.cli(&["CLUSTER", "MEET", "127.0.0.1", &first]), "OK");
        }
        let info = |server: &RedisServer| server.cli(&["CLUSTER", "INFO"]);
        cluster.all("they know one another", |server| info(server).contains("cluster_known_nodes:6"));
        for (number, replica) in cluster.servers[3..].iter().enumerate() {
            let primary = cluster.id(number);
            replica.wait_until("it can follow", || replica.cli(&["CLUSTER", "REPLICATE", &primary]) == "OK");
        }
        cluster.all("all is well", |server| info(server).contains("cluster_state:ok"));
        for replica in &cluster.servers[3..] {
            replica
                .wait_until("it follows", || replica.cli(&["INFO", "replication"]).contains("master_link_status:up"));
        }
        cluster.all("all know the replicas", |server| server.cli(&["CLUSTER", "NODES"]).matches("slave").count() == 3);
        cluster
    }

    pub fn url(&self) -> String {
        let ports: Vec<u16> = self.servers.iter().map(RedisServer::port).collect();
        let more: Vec<String> = ports[1..].iter().map(|port| format!("node=127.0.0.1:{port}")).collect();
        format!("redis-cluster://:{PASSWORD_IN_URL}@127.0.0.1:{}?{}", ports[0], more.join("&"))
    }

    /// The primary that has this key, before anything was moved.
    pub fn home(&self, key: &str) -> usize {
        owner(self.slot(key))
    }

    /// Every key that a primary of the beginning has.
    pub fn keys(&self) -> Vec<String> {
        let of = |server: &RedisServer| server.cli(&["KEYS", "*"]).lines().map(str::to_owned).collect::<Vec<_>>();
        self.servers[..3].iter().flat_map(of).collect()
    }

    /// Moves a key's slot from its first owner to the next primary, as `redis-cli --cluster reshard` does.
    pub fn move_away(&self, key: &str) {
        let slot = self.slot(key).to_string();
        let (from, to) = (self.home(key), (self.home(key) + 1) % 3);
        let (source, target) = (&self.servers[from], &self.servers[to]);
        let (from, to) = (self.id(from), self.id(to));
        assert_eq!(target.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]), "OK");
        assert_eq!(source.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]), "OK");
        let port = target.port().to_string();
        loop {
            let keys = source.cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "2"]);
            let keys: Vec<&str> = keys.lines().filter(|key| !key.is_empty()).collect();
            if keys.is_empty() {
                break;
            }
            let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "AUTH", PASSWORD, "KEYS"];
            let done = source.cli(&[&migrate[..], &keys[..]].concat());
            assert!(done == "OK" || done == "NOKEY", "{done}");
        }
        for server in [target, source] {
            assert_eq!(server.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]), "OK");
        }
    }

    fn slot(&self, key: &str) -> usize {
        self.servers[0].cli(&["CLUSTER", "KEYSLOT", key]).parse().expect("a slot")
    }

    fn id(&self, number: usize) -> String {
        self.servers[number].cli(&["CLUSTER", "MYID"])
    }

    fn all(&self, what: &str, fact: impl Fn(&RedisServer) -> bool) {
        let start = Instant::now();
        while !self.servers.iter().all(&fact) {
            assert!(start.elapsed() < Duration::from_secs(20), "in vain waited until {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

const fn owner(slot: usize) -> usize {
    slot * 3 / SLOTS
}
