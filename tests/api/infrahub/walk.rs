//! The walk of an Infrahub user with the real `curl`, against the real server: from an empty database to a VM that is gone again, and
//! each way in which a request is wrong.

use serde_json::{Value, json};
use std::process::Command;

use super::{HERE, payload};
use crate::harness::{TOKEN, database};
use crate::orders::told;
use crate::start::process::{DataDir, Server, said};

/// A server, and the token of a customer.
struct Walk {
    server: Server,
    customer: String,
}

impl Walk {
    /// With all that a customer orders by, as an operator makes it.
    async fn start() -> Self {
        let dsn = database().await;
        let server = Server::start(&DataDir::new(), &["--database-url", &dsn, "--log-level", "error"]);
        let mut walk = Self { server, customer: String::new() };
        let (gib, environment) = (1_i64 << 30, "acme/shop");
        let organization = json!({"name": "acme", "full_name": "A customer"});
        let node = json!({"fqdn": "hv01.example.com", "state": "running"});
        let public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVsbG8gdGhlcmUsIHRoaXMgaXMgYW4gZXhhbXBsZS4h mika@laptop";
        let flavor = |name: &str, cores: i64| json!({"name": name, "cores": cores, "ram_bytes": 2 * gib, "disk_bytes": 20 * gib, "virt_method": "KVM", "storage_type": "qcow2"});
        for (list, body) in [
            ("environments", json!({"organization": organization, "name": "shop"})),
            ("environments", json!({"organization": {"name": "globex", "full_name": "Another"}, "name": "mail"})),
            ("keys", json!({"environment": environment, "name": "laptop", "public_key": public_key})),
            (
                "images",
                json!({"name": "debian-12", "format": "qcow2", "path": "/srv/debian-12.qcow2", "size_bytes": 2 * gib}),
            ),
            ("flavors", flavor("small", 1)),
            ("flavors", flavor("large", 32)),
            ("profiles", json!({"environment": environment, "name": "web", "labels": ["web"]})),
            ("networks", json!({"name": "customers", "audience": "customers"})),
            (
                "subnets",
                json!({"name": "customers", "network": "customers", "cidr": "192.0.2.0/24", "purpose": "addresses"}),
            ),
            (
                "subnets",
                json!({"name": "public", "network": "customers", "cidr": "203.0.113.0/28", "purpose": "floating"}),
            ),
            (
                "hypervisors",
                json!({"node": node, "cores": 16, "ram_bytes": 64 * gib, "virt_methods": ["KVM"],
                "local_storage_bytes": 1000 * gib, "local_storage_path": "/srv"}),
            ),
            (
                "memberships",
                json!({"organization": "acme", "role": "member",
                "user": {"name": "member", "account_type": "person", "state": "active"}}),
            ),
            ("tokens", json!({"name": "test", "scope": "all", "user": "member"})),
        ] {
            let (status, made) = walk.operator("POST", &format!("/v1/{list}"), &body);
            assert_eq!(status, 201, "{list} {made}");
            if list == "tokens" {
                let (_, issued) = walk.operator("POST", &format!("/v1/tokens/{}/secret", made["id"]), &Value::Null);
                walk.customer.push_str(issued["secret"].as_str().expect("a secret"));
            }
        }
        walk
    }

    /// What `curl` prints: the status, and the body, which is JSON or nothing.
    fn curl(&self, authorization: Option<&str>, method: &str, url: &str, body: Option<&str>) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--globoff", "-w", "\n%{http_code}", "-X", method]);
        if let Some(authorization) = authorization {
            curl.args(["-H", &format!("Authorization: {authorization}")]);
        }
        if let Some(body) = body {
            curl.args(["-H", "Content-Type: application/json", "--data-raw", body]);
        }
        let (code, out, err) = said(curl.arg(format!("http://{}{url}", self.server.at)).output().expect("curl runs"));
        assert_eq!(code, Some(0), "{method} {url} {err}");
        let (body, status) = out.rsplit_once('\n').expect("a status");
        let body = if body.is_empty() { Value::Null } else { serde_json::from_str(body).expect("JSON") };
        (status.parse().expect("a number"), body)
    }

    fn json(&self, authorization: &str, method: &str, url: &str, body: &Value) -> (u16, Value) {
        let body = (!body.is_null()).then(|| body.to_string());
        self.curl(Some(authorization), method, url, body.as_deref())
    }

    fn operator(&self, method: &str, url: &str, body: &Value) -> (u16, Value) {
        self.json(&format!("Bearer {TOKEN}"), method, url, body)
    }

    fn customer(&self, method: &str, url: &str, body: &Value) -> (u16, Value) {
        self.json(&format!("Token {}", self.customer), method, &format!("{HERE}{url}"), body)
    }

    fn get(&self, url: &str) -> (u16, Value) {
        self.customer("GET", url, &Value::Null)
    }
}

#[rocket::async_test]
async fn a_customer_orders_looks_and_deletes() {
    let walk = Walk::start().await;
    let (status, made) = walk.customer("POST", "", &payload());
    assert_eq!((status, &made["status"]), (201, &json!(true)), "{made}");
    let [vm] = made["instances"].as_array().unwrap().as_slice() else { panic!("{made}") };
    assert_eq!(
        (&vm["name"], &vm["environment_name"], &vm["state"], &vm["flavor_name"]),
        (&json!("shop"), &json!("shop"), &json!("scheduled"), &json!("small"))
    );
    assert_eq!((&vm["labels"], &vm["public_ip"]), (&json!(["front", "web"]), &json!("203.0.113.1")));
    assert_eq!(vm["links"]["self"], format!("{HERE}/{}", vm["id"]));
    // The same objects, by the other entrance.
    let common = || walk.operator("GET", vm["links"]["vm"].as_str().unwrap(), &Value::Null);
    let (_, other) = common();
    assert_eq!(
        (&other["uuid"], &other["firewall"], &other["keys"][0]["key"]),
        (&vm["uuid"], &json!("on"), &json!("acme/shop/laptop"))
    );
    assert_eq!(other["security_rules"].as_array().map(Vec::len), Some(2));
    for key in
        [vm["id"].to_string(), vm["uuid"].as_str().unwrap().to_owned(), "shop/shop".into(), "acme/shop/shop".into()]
    {
        let (status, found) = walk.get(&format!("/{key}"));
        assert_eq!((status, &found["instance"]), (200, vm), "{key}");
    }
    for (url, count) in [
        ("", 1),
        ("/shop", 1),
        ("?label=front", 1),
        ("/shop?label=web", 1),
        ("?label=none", 0),
        ("/shop?label=none", 0),
    ] {
        let (status, found) = walk.get(url);
        assert_eq!((status, found["instances"].as_array().map(Vec::len)), (200, Some(count)), "{url} {found}");
    }
    assert_eq!(walk.get("/acme%2Fshop/shop").1["instance"]["id"], vm["id"]);
    let (status, changed) = walk.customer("PATCH", "/shop/shop", &json!({"labels": ["back"], "name": "front"}));
    assert_eq!((status, &changed["instance"]["labels"]), (200, &json!(["back"])), "{changed}");
    assert_eq!(walk.get("/shop/shop").0, 404);
    for (word, state) in [("stop", "stopped"), ("start", "running"), ("hard-reboot", "running"), ("reboot", "running")]
    {
        let (status, acted) = walk.customer("POST", &format!("/shop/front/{word}"), &Value::Null);
        assert_eq!((status, &acted["instance"]["id"]), (200, &vm["id"]), "{word} {acted}");
        assert_eq!(common().1["state"]["name"], state, "{word}");
    }
    assert_eq!(common().1["restarts"], 2);
    assert_eq!(walk.customer("DELETE", "/shop/front", &Value::Null), (204, Value::Null));
    // It is no VM any more, and what becomes of it is told where it was.
    for key in [vm["id"].to_string(), vm["uuid"].as_str().unwrap().to_owned(), "shop/front".into()] {
        let (status, found) = walk.get(&format!("/{key}"));
        let instance = &found["instance"];
        assert_eq!(
            (status, &instance["state"], &instance["public_ip"]),
            (200, &json!("deleting"), &Value::Null),
            "{key}"
        );
        assert_eq!(
            (&instance["name"], &instance["id"], &instance["labels"]),
            (&json!("front"), &vm["id"], &json!(["back"]))
        );
    }
    assert_eq!(common().0, 404);
    assert_eq!(walk.get("").1["instances"], json!([]));
    assert_eq!(walk.customer("DELETE", "/shop/front", &Value::Null).0, 404);
    walk.server.stop();
}

#[rocket::async_test]
async fn each_wrong_request_is_answered_by_its_status_and_field() {
    let walk = Walk::start().await;
    assert_eq!(walk.customer("POST", "", &payload()).0, 201);
    let (_, before) = walk.get("");
    for (field, value, status, pointer, part) in [
        ("environment_name", json!("none"), 422, "/environment_name", "names none"),
        ("environment_name", json!("globex/mail"), 422, "/environment_name", "names none"),
        ("flavor_name", json!("huge"), 422, "/flavor_name", "names none"),
        ("image_name", json!("windows"), 422, "/image_name", "names none"),
        ("key_name", json!("none"), 422, "/key_name", "names none"),
        ("colour", json!("red"), 422, "/colour", "is not known"),
        ("count", json!(0), 422, "/count", "between 1 and 100"),
        ("name", json!("shop"), 409, "/name", "is already taken"),
        ("flavor_name", json!("large"), 409, "/hypervisor", "of 1, 1 has too few cores left"),
    ] {
        let mut sent = payload();
        (sent["name"], sent[field]) = ("another".into(), value);
        let (answered, problem) = walk.customer("POST", "", &sent);
        assert_eq!((answered, &problem["status"]), (status, &json!(status)), "{field} {problem}");
        let [(at, detail)] = told(&problem).try_into().unwrap_or_else(|all| panic!("{field} {all:?}"));
        assert!(at == pointer && detail.contains(part), "{field} {problem}");
    }
    let bearer = format!("Token {}", walk.customer);
    let known = Some(bearer.as_str());
    let order = payload().to_string();
    for (who, method, url, body, status) in [
        (None, "POST", "", Some(order.as_str()), 401),
        (None, "GET", "/shop/shop", None, 401),
        (Some("Token virtapi_00000000_false"), "POST", "", Some(&order), 401),
        (Some("Token"), "GET", "", None, 401),
        (known, "POST", "", Some(r#"{"name": "cut", "#), 400),
        (known, "POST", "", Some(r#"{"name": "a", "name": "b"}"#), 400),
        (known, "POST", "", Some("[]"), 422),
        (known, "POST", "?colour=red", Some(&order), 400),
        (known, "GET", "/shop/none", None, 404),
        (known, "GET", "/none?label=web", None, 404),
        (known, "GET", "/globex/mail/mail-1", None, 404),
        (known, "PATCH", "/shop/shop", Some(r#"{"cores": 9}"#), 422),
        (known, "DELETE", "/shop", None, 400),
        (known, "DELETE", "/shop/none", None, 404),
        (known, "POST", "/shop/shop/explode", None, 404),
    ] {
        let (answered, problem) = walk.curl(who, method, &format!("{HERE}{url}"), body);
        assert_eq!((answered, &problem["status"]), (status, &json!(status)), "{method} {url} {body:?} {problem}");
    }
    // A label that none has is no fault: there is nothing to do.
    for (method, url) in [("DELETE", "/shop?label=none"), ("POST", "/shop/stop?label=none")] {
        assert_eq!(walk.customer(method, url, &Value::Null), (200, json!({"results": []})), "{method} {url}");
    }
    assert_eq!(walk.get("").1, before, "nothing of it was done");
    walk.server.stop();
}
