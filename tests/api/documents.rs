//! The documents that agents read: what they say, when they are current, and what an agent gets that asks for nobody.

mod orders;

use rocket::futures::future::join_all;
use rocket::http::{Method, Status};
use serde_json::{Map, Value, json};

use crate::fleet::{self, Fleet};
use crate::harness::{Answer, App, sql};
use crate::statements::{Log, Relay};

/// Every route of agents: `{}` is the name of the node.
const ROUTES: &[&str] =
    &["/puppet/enc/{}", "/puppet/hiera/{}", "/node/{}?format=yml", "/salt/pillar/{}", "/salt/tops/{}"];

const NODES: [&str; 4] = [fleet::ALL_ROLES, fleet::MON, fleet::OSDS, fleet::NO_ROLE];

fn route(pattern: &str, name: &str) -> String {
    pattern.replace("{}", name)
}

/// The classes of these roles, joined as a tool joins them.
fn classes(document: &Value, separator: &str) -> Value {
    let is = |role: &str| document["roles"].as_array().expect("roles").contains(&json!(role));
    let mut names = vec!["virtapi".to_owned()];
    for (wanted, parts) in [
        (is("hypervisor"), ["hypervisor", ""]),
        (!document["ceph"].is_null(), ["ceph", ""]),
        (is("ceph_mon"), ["ceph", "mon"]),
        (is("ceph_osd"), ["ceph", "osd"]),
    ] {
        if wanted {
            let rest = parts.iter().filter(|part| !part.is_empty()).map(|part| format!("{separator}{part}"));
            names.push(format!("virtapi{}", rest.collect::<String>()));
        }
    }
    names.into_iter().map(|name| (name, json!({}))).collect::<Map<_, _>>().into()
}

/// As Hiera must be told not to evaluate what looks like its own syntax.
fn escaped(value: &Value) -> Value {
    serde_json::from_str(&value.to_string().replace("%{", "%{literal('%')}{")).expect("JSON")
}

/// The flat keys that `docs/documents.md` lists.
fn hiera(document: &Value) -> Value {
    let mut keys = Map::new();
    for name in ["meta", "node", "roles"] {
        keys.insert(format!("virtapi::{name}"), escaped(&document[name]));
    }
    for (name, value) in document["hypervisor"].as_object().into_iter().flatten() {
        keys.insert(format!("virtapi::hypervisor::{name}"), escaped(value));
    }
    let ceph = &document["ceph"];
    if ceph.is_object() {
        keys.insert("virtapi::ceph::clusters".into(), escaped(&ceph["clusters"]));
    }
    if ceph["mon"].is_object() {
        for (name, key) in [("cluster", "cluster"), ("name", "mon_name"), ("address", "address"), ("port", "port")] {
            keys.insert(format!("virtapi::ceph::mon::{key}"), escaped(&ceph["mon"][name]));
        }
    }
    if ceph["osds"].as_array().is_some_and(|osds| !osds.is_empty()) {
        keys.insert("virtapi::ceph::osd::osds".into(), escaped(&ceph["osds"]));
    }
    keys.into()
}

#[rocket::async_test]
async fn every_view_shows_what_was_posted() {
    let app = App::start().await;
    let posted = Fleet::post(&app).await;
    for fqdn in NODES {
        let node = app.get(&format!("/v1/nodes/{fqdn}")).await.is(Status::Ok);
        let cluster = app.get("/v1/ceph-clusters/0x1f").await.is(Status::Ok);
        let mut document = posted.expected(fqdn);
        let clusters = if document["ceph"].is_null() { json!({}) } else { json!({"0x1f": cluster["generation"]}) };
        document["meta"] = json!({"schema": 1, "node_id": node["id"], "generation": node["desired_generation"],
            "approved": false, "clusters": clusters});
        let mut parameters = json!({"fqdn": fqdn, "location": "2026-01-01", "state": "running",
            "roles": document["roles"], "generation": node["desired_generation"]});
        for (name, value) in document["node"]["parameters"].as_object().expect("an object") {
            parameters[name] = value.clone();
        }
        let enc = json!({"classes": classes(&document, "::"), "parameters": parameters, "environment": "production"});
        let tops = json!({"environment": "base", "classes": classes(&document, ".")});
        let expected = [&enc, &hiera(&document), &enc, &json!({"virtapi": document}), &tops];
        for (pattern, expected) in ROUTES.iter().zip(expected) {
            let answer = app.get(&route(pattern, fqdn)).await;
            assert_eq!(&answer.is(Status::Ok), expected, "{pattern} {fqdn}");
            let yaml = pattern.contains("enc") || pattern.contains("/node/");
            let media = if yaml { "application/yaml" } else { "application/json" };
            assert_eq!(answer.header("Content-Type"), media, "{pattern}");
        }
        for (key, value) in hiera(&document).as_object().expect("an object") {
            let answer = app.get(&format!("/puppet/hiera/{fqdn}/{key}")).await;
            assert_eq!(&answer.is(Status::Ok), value, "{key}");
        }
        for key in ["lookup_options", "virtapi::node::fqdn", "virtapi::hypervisor::vms.x", "%25%7Bfacts.x%7D", "x"] {
            app.get(&format!("/puppet/hiera/{fqdn}/{key}")).await.is(Status::NotFound);
        }
    }
    // Without an environment, there is no such key.
    app.json(Method::Patch, &format!("/v1/nodes/{}", fleet::NO_ROLE), json!({"environment": null}))
        .await
        .is(Status::Ok);
    let enc = app.get(&format!("/puppet/enc/{}", fleet::NO_ROLE)).await.is(Status::Ok);
    assert!(enc.get("environment").is_none());
}

#[rocket::async_test]
async fn numbers_come_out_as_they_went_in() {
    let app = App::start().await;
    let mut dice = crate::writes::Dice(1);
    let floats = (0..2000).map(|_| f64::from_bits(dice.roll())).filter(|number| number.is_finite());
    let common = (0..2000_u32).map(|n| f64::from(n) / 1000.0);
    let numbers: Vec<f64> = floats.chain(common).chain([5e-324, f64::MAX, f64::MIN_POSITIVE, 1e22, 1e-7]).collect();
    let body = json!({"fqdn": "a.example.com", "state": "running", "parameters": {"numbers": numbers}});
    app.post("/v1/nodes", body).await.is(Status::Created);
    for view in ["/salt/pillar/a.example.com", "/puppet/enc/a.example.com"] {
        let answer = app.get(view).await;
        let place = answer.text().find("\"numbers\":[").expect("numbers") + "\"numbers\":[".len();
        let text = &answer.text()[place..];
        let shown = text[..text.find(']').expect("an end")].split(',').map(|number| number.parse().expect("a number"));
        let differ: Vec<(f64, f64)> =
            numbers.iter().copied().zip(shown).filter(|(a, b): &(f64, f64)| a.to_bits() != b.to_bits()).collect();
        assert!(differ.is_empty(), "{} of {}: {:?}", differ.len(), numbers.len(), &differ[..differ.len().min(5)]);
    }
}

#[rocket::async_test]
async fn a_document_is_current_and_cacheable() {
    let app = App::start().await;
    let node = json!({"fqdn": "hv01.example.com", "state": "running"});
    let hypervisor = json!({"node": node, "cores": 4, "ram_bytes": 1024, "virt_methods": ["KVM"]});
    app.post("/v1/hypervisors", hypervisor).await.is(Status::Created);
    let mut tags = vec![];
    for pattern in ROUTES.iter().copied().chain(["/puppet/hiera/{}/virtapi::roles"]) {
        let url = route(pattern, "hv01.example.com");
        let first = app.get(&url).await;
        let tag = first.header("ETag").to_owned();
        for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
            let again = app.send(Method::Get, &url, &[("If-None-Match", &known)], b"").await;
            assert_eq!((again.status, again.header("ETag"), again.bytes.len()), (304, tag.as_str(), 0), "{url}");
        }
        let other = app.send(Method::Get, &url, &[("If-None-Match", "\"other\"")], b"").await;
        assert_eq!((other.status, &other.bytes), (200, &first.bytes));
        let head = app.send(Method::Head, &url, &[], b"").await;
        assert_eq!((head.status, head.header("ETag"), head.bytes.len()), (200, tag.as_str(), 0), "{url}");
        tags.push(tag);
    }
    assert_eq!(tags[0], tags[2], "Foreman's document is the ENC's");
    tags.remove(2);
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), ROUTES.len(), "each view has a tag of its own");

    let url = "/salt/pillar/hv01.example.com";
    let headers = [("If-None-Match", app.get(url).await.header("ETag").to_owned())];
    let headers = headers.each_ref().map(|(name, tag)| (*name, tag.as_str()));
    let vm = json!({"name": "web", "cores": 2, "ram_bytes": 1024, "state": "running", "virt_method": "KVM",
        "hypervisor": "hv01.example.com"});
    let interface = app.post("/v1/interfaces", json!({"mac": "52:54:00:00:00:01", "vm": vm})).await.is(Status::Created);
    let second = app.send(Method::Get, url, &headers, b"").await.is(Status::Ok);
    let vms = &second["virtapi"]["hypervisor"]["vms"];
    let vm = &vms[interface["vm"]["uuid"].as_str().unwrap()];
    assert_eq!(vm["interfaces"][0]["mac"], "52:54:00:00:00:01");
    // The same name and generation, another node: not the old document.
    for location in ["r1", "r2"] {
        let body = json!({"state": 1, "location": location});
        app.json(Method::Put, "/v1/nodes/hv02.example.com", body).await.is(Status::Created);
        let document = app.get("/salt/pillar/hv02.example.com").await.is(Status::Ok);
        assert_eq!(document["virtapi"]["node"]["location"], location);
        app.json(Method::Delete, "/v1/nodes/hv02.example.com", Value::Null).await.is(Status::NoContent);
        app.get("/salt/pillar/hv02.example.com").await.is(Status::NotFound);
    }
}

#[rocket::async_test]
async fn nobody_is_not_a_node() {
    let app = App::start().await;
    app.post("/v1/nodes", json!({"fqdn": "a.example.com", "state": "running"})).await.is(Status::Created);
    let mut wrong = vec![];
    let mut expect = |url: &str, answer: Answer, status: u16| {
        if answer.status != status || answer.header("Content-Type") != "application/problem+json" {
            wrong.push(format!("{url}: {} and not {status}: {}", answer.status, answer.text()));
        }
    };
    for pattern in ROUTES.iter().copied().chain(["/puppet/hiera/{}/virtapi::roles"]) {
        for url in [route(pattern, ""), route(pattern, "/"), route(&pattern.replace("/{}", ""), "")] {
            expect(&url, app.get(&url).await, 400);
        }
        for name in [
            "b.example.com",
            "%00",
            "..",
            "%25%7B",
            "%20",
            "1",
            "A.EXAMPLE.COM",
            "a.example.com.",
            "a.example.com%00",
            "a%2Fb",
            "..%2Fa",
            "%C3%A9",
            "a.example.com.json",
            "nodes%20where%201=1",
        ] {
            expect(&route(pattern, name), app.get(&route(pattern, name)).await, 404);
        }
        // No text at all, so not even the name of nobody.
        expect(&route(pattern, "%ff"), app.get(&route(pattern, "%ff")).await, 400);
    }
    for format in ["json", "", "yaml.erb"] {
        let url = format!("/node/a.example.com?format={format}");
        expect(&url, app.get(&url).await, 400);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for url in ["/node/a.example.com", "/node/a.example.com?format=yaml"] {
        app.get(url).await.is(Status::Ok);
    }
    let answer = app.json(Method::Post, "/salt/pillar/a.example.com", json!({})).await;
    assert_eq!((answer.status, answer.header("Allow")), (405, "GET, HEAD"));
}

/// Shuts the database, for everybody who is in and for everybody else.
async fn shut(dsn: &str, shut: bool) {
    let (cluster, name) = dsn.rsplit_once(" dbname=").expect("a name");
    let leave = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    sql(&format!("{cluster} dbname=postgres"), &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}; {leave}", !shut))
        .await;
}

#[rocket::async_test]
async fn without_its_database_a_server_shows_nothing() {
    let app = App::start().await;
    Fleet::post(&app).await;
    let urls: Vec<String> = ROUTES.iter().map(|pattern| route(pattern, fleet::MON)).collect();
    let tag = app.get(&urls[0]).await.header("ETag").to_owned();
    shut(&app.dsn, true).await;
    for url in &urls {
        for headers in [&[][..], &[("If-None-Match", tag.as_str())]] {
            let answer = app.send(Method::Get, url, headers, b"").await;
            assert_eq!((answer.status, answer.header("Retry-After")), (503, "1"), "{url}: {}", answer.text());
        }
    }
    shut(&app.dsn, false).await;
    for url in &urls {
        app.get(url).await.is(Status::Ok);
    }
}

/// How many documents were built.
fn builds(statements: &[String]) -> usize {
    statements.iter().filter(|statement| statement.contains("REPEATABLE READ")).count()
}

#[rocket::async_test]
async fn many_who_ask_at_once_share_one_document() {
    let app = App::start().await;
    Fleet::post(&app).await;
    let mut log = Log::start(&app.dsn).await;
    let app = App::on(&app.dsn).await;
    let url = format!("/salt/pillar/{}", fleet::ALL_ROLES);
    for round in 0..3 {
        let body = json!({"location": format!("rack {round}")});
        app.json(Method::Patch, &format!("/v1/nodes/{}", fleet::ALL_ROLES), body).await.is(Status::Ok);
        log.statements().await;
        let answers = join_all((0..300).map(|_| app.get(&url))).await;
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.bytes == answers[0].bytes));
        let statements = log.statements().await;
        let checks =
            statements.iter().filter(|statement| statement.starts_with("SELECT fqdn, id, desired_generation")).count();
        assert_eq!(builds(&statements), 1, "{checks} checks");
        // How many share a check depends on when they come; that those who wait share one is shown beside the code.
        assert!(checks < answers.len(), "{checks} checks");
    }
}

/// Two hypervisors, one with few VMs and one with many, all of them with everything; and one more node.
async fn few_and_many(app: &App) {
    let post = async |collection: &str, items: Vec<Value>| {
        app.post(&format!("/v1/{collection}"), items.into()).await.is(Status::Created);
    };
    let of_both = [(FEW, 0..1), (MANY, 100..160)];
    let vms = || of_both.iter().flat_map(|(node, numbers)| numbers.clone().map(move |n| (*node, n)));
    let uuid = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    post("vlans", vec![json!({"name": "a", "tag": 1}), json!({"name": "b", "vni": 2})]).await;
    let cluster = json!({"name": "ceph", "fsid": uuid(0)});
    post("ceph-pools", vec![json!({"name": "rbd", "cluster": cluster})]).await;
    let node = |name: &str| json!({"fqdn": name, "state": "running"});
    post("nodes", vec![node("other.example.com")]).await;
    let hypervisor = |name: &str| {
        json!({"node": node(name), "cores": 4, "ram_bytes": 1024, "virt_methods": ["KVM"],
            "local_storage_path": "/srv"})
    };
    post("hypervisors", of_both.iter().map(|(name, _)| hypervisor(name)).collect()).await;
    let vm = |(node, n): (&str, u32)| {
        json!({"uuid": uuid(n), "name": "web", "cores": 1, "ram_bytes": 1024, "state": "running", "virt_method": "KVM",
            "hypervisor": node})
    };
    post("vms", vms().map(vm).collect()).await;
    let interface = |n: u32| {
        json!({"mac": format!("52:54:00:00:00:{n:02x}"), "vm": uuid(n), "vlans": ["a", "b"],
            "addresses": [format!("10.0.0.{n}/24"), format!("2001:db8::{n:x}/64")]})
    };
    post("interfaces", vms().map(|(_, n)| interface(n)).collect()).await;
    let volume = |n: u32, of: u32, kind: &str, pool: Option<&str>| {
        json!({"uuid": uuid(n), "vm": uuid(of), "size_bytes": 1024, "storage_type": kind, "cache_option": "none",
            "ceph_pool": pool})
    };
    let volumes = |(_, n): (&str, u32)| [volume(1000 + n, n, "raw", None), volume(2000 + n, n, "rbd", Some("rbd"))];
    post("volumes", vms().flat_map(volumes).collect()).await;
    let snapshot = |n: u32| json!({"volume": uuid(2000 + n), "name": "nightly", "take_at": "2026-12-01T02:00:00Z"});
    post("snapshots", vms().map(|(_, n)| snapshot(n)).collect()).await;
}

const FEW: &str = "few.example.com";
const MANY: &str = "many.example.com";

/// How many VMs, interfaces and volumes a document shows.
fn size(document: &Value) -> (usize, usize, usize) {
    let vms = document["virtapi"]["hypervisor"]["vms"].as_object().expect("VMs");
    let parts = |name: &str| vms.values().map(|vm| vm[name].as_array().expect("a list").len()).sum();
    (vms.len(), parts("interfaces"), parts("volumes"))
}

#[rocket::async_test]
async fn a_document_takes_the_same_statements_in_one_round_trip_however_many_vms_there_are() {
    let app = App::start().await;
    few_and_many(&app).await;
    let mut log = Log::start(&app.dsn).await;
    let mut asked = vec![];
    for (name, vms) in [(FEW, 1), (MANY, 60)] {
        let relay = Relay::start(&app.dsn);
        // One connection, on which the first document prepares the statements.
        let fresh = App::with_pool(&relay.dsn, 1).await;
        fresh.get("/salt/pillar/other.example.com").await.is(Status::Ok);
        log.statements().await;
        relay.round_trips();
        let document = fresh.get(&format!("/salt/pillar/{name}")).await.is(Status::Ok);
        assert_eq!(size(&document), (vms, vms, 2 * vms), "{document}");
        let (round_trips, mut statements) = (relay.round_trips(), log.statements().await);
        // Who asks is looked up once a second: on a busy machine that may be now.
        let all = statements.len();
        statements.retain(|statement| !statement.contains("token_secrets") && !statement.contains("UPDATE tokens"));
        let for_the_document = round_trips - (all - statements.len());
        assert_eq!(for_the_document, 4, "the check, BEGIN, all that is read, COMMIT");
        asked.push(statements);
    }
    let [few, many] = &asked[..] else { panic!("two documents") };
    assert_eq!(builds(few), 1, "{few:#?}");
    assert_eq!(few, many);
}

#[rocket::async_test]
async fn a_document_is_read_by_indexes() {
    let app = App::start().await;
    few_and_many(&app).await;
    // A hundred more hypervisors like the one with many VMs.
    sql(
        &app.dsn,
        "INSERT INTO nodes (fqdn, state_id) SELECT format('n%s.example.com', n), state_id
            FROM nodes, generate_series(1, 100) AS n WHERE fqdn = 'many.example.com';
        INSERT INTO hypervisors (node_id, cores, ram_bytes, local_storage_path)
            SELECT id, 4, 1024, '/srv' FROM nodes WHERE fqdn ~ '^n[0-9]';
        INSERT INTO hypervisor_virt_methods SELECT h.id, m.virt_method_id FROM hypervisors h,
            (SELECT DISTINCT virt_method_id FROM vms) AS m ON CONFLICT DO NOTHING;
        INSERT INTO vms (uuid, name, cores, ram_bytes, state_id, hypervisor_id, virt_method_id)
            SELECT gen_random_uuid(), v.name, v.cores, v.ram_bytes, v.state_id, h.id, v.virt_method_id
            FROM hypervisors h JOIN nodes n ON n.id = h.node_id, vms v WHERE n.fqdn ~ '^n[0-9]';
        INSERT INTO volumes (uuid, vm_id, storage_type_id, cache_option_id, size_bytes)
            SELECT gen_random_uuid(), v.id, d.storage_type_id, d.cache_option_id, 1024
            FROM vms v, (SELECT * FROM volumes WHERE ceph_pool_id IS NULL LIMIT 1) AS d;
        INSERT INTO interfaces (mac, vm_id) SELECT ('02' || lpad(to_hex(id), 10, '0'))::macaddr, id FROM vms;
        ANALYZE",
    )
    .await;
    let mut log = Log::start(&app.dsn).await;
    let app = App::with_pool(&app.dsn, 1).await;
    let mut plans = vec![];
    // More often than Postgres makes a new plan for a prepared statement.
    for round in 0..8 {
        let body = json!({"location": format!("rack {round}")});
        app.json(Method::Patch, &format!("/v1/nodes/{MANY}"), body).await.is(Status::Ok);
        log.entries().await;
        let document = app.get(&format!("/salt/pillar/{MANY}")).await.is(Status::Ok);
        assert_eq!(size(&document), (60, 120, 180));
        plans.extend(log.entries().await.into_iter().filter(|entry| entry.contains("plan:")));
    }
    for table in ["vms", "interfaces", "volumes"] {
        let reads = plans.iter().filter(|plan| plan.contains(&format!(" on {table} "))).count();
        assert!(reads >= 8, "{table}: {plans:#?}");
        let whole: Vec<_> = plans.iter().filter(|plan| plan.contains(&format!("Seq Scan on {table} "))).collect();
        assert!(whole.is_empty(), "{table}: {whole:#?}");
    }
}
