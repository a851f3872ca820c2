//! What a list can be asked: every operator on every type of column, order, pages, totals, search, fields, embedding.

use rocket::http::{Method, Status};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use virtapi::{KINDS, Type};

use crate::every_kind::{by_key, example, text};
use crate::harness::{self, App};
use crate::relations::demo;
use crate::statements::{Log, Relay};

/// Nodes hv0 to hv6 (0 to 2 stopped; 1, 3 and 5 with a location), each with an interface and addresses.
async fn seven_nodes() -> App {
    let app = App::start().await;
    let node = |i: usize| {
        let state = if i < 3 { "stopped" } else { "running" };
        let location = if i.is_multiple_of(2) { Value::Null } else { json!(format!("r{i}_%")) };
        json!({"fqdn": format!("hv{i}.x"), "state": state, "location": location})
    };
    app.post("/v1/nodes", (0..7).map(node).collect()).await.is(Status::Created);
    app.post("/v1/vlans", json!([{"name": "red", "tag": 1}, {"name": "blue", "vni": 1}])).await.is(Status::Created);
    let interface = |i: usize| {
        json!({"mac": format!("52:54:00:00:00:0{i}"), "node": format!("hv{i}.x"), "vlans": if i < 2 { json!(["red"]) } else { json!([]) },
            "addresses": [format!("10.0.0.{i}/24"), format!("2001:db8::{i}/64")]})
    };
    app.post("/v1/interfaces", (0..7).map(interface).collect()).await.is(Status::Created);
    app
}

async fn found(app: &App, query: &str) -> String {
    let list = app.get(&format!("/v1/{query}")).await.is(Status::Ok);
    let items = list["items"].as_array().unwrap();
    assert_eq!(list["total"], items.len(), "{query}");
    let named = |item: &Value| text(item.get("fqdn").or(item.get("mac")).or(item.get("ip")).unwrap());
    let digit =
        |name: String| name.split('/').next().unwrap().trim_end_matches(".x").chars().last().unwrap().to_string();
    items.iter().map(|item| digit(named(item))).collect::<Vec<_>>().join(" ")
}

#[rocket::async_test]
async fn filters_find_what_they_say() {
    let app = seven_nodes().await;
    for (query, expected) in [
        ("nodes?state=stopped", "0 1 2"),
        ("nodes?state=2", "0 1 2"),
        ("nodes?state__ne=stopped", "3 4 5 6"),
        ("nodes?state__ne=flying", "0 1 2 3 4 5 6"),
        ("nodes?state=flying", ""),
        ("nodes?state__in=stopped,1&fqdn__in=hv1.x,hv5.x,none", "1 5"),
        ("nodes?state=stopped&location__isnull=false", "1"),
        ("nodes?management_network__isnull=true&id=1", "0"),
        ("nodes?fqdn__contains=V6", "6"),
        ("nodes?fqdn__contains=%25", ""),
        ("nodes?location__contains=_%25", "1 3 5"),
        ("nodes?location__contains=%5C", ""),
        ("nodes?fqdn__contains=hv_.x", ""),
        ("nodes?fqdn__startswith=hv2&created_at__gte=2020-01-01T00:00:00Z", "2"),
        ("nodes?fqdn__startswith=v2", ""),
        ("nodes?created_at__lt=2020-01-01T00:00:00%2B05:00", ""),
        ("nodes?location=", ""),
        ("nodes?location__ne=r1_%25", "0 2 3 4 5 6"),
        ("nodes?location__isnull=true", "0 2 4 6"),
        ("nodes?location__gt=r1_%25", "3 5"),
        ("nodes?id__in=1,2&sort=-fqdn", "1 0"),
        ("nodes?id__gte=2&id__lte=3&id__ne=2", "2"),
        ("nodes?q=HV3", "3"),
        ("nodes?q=hv3.x", "3"),
        ("nodes?q=3&location__isnull=false", "3"),
        ("nodes?q=_", "1 3 5"),
        ("nodes?q=running", ""),
        ("interfaces?node=hv2.x", "2"),
        ("interfaces?mac=52-54-00-00-00-0A", ""),
        ("interfaces?mac=52-54-00-00-00-03", "3"),
        ("interfaces?mac__lte=52:54:00:00:00:01", "0 1"),
        ("interfaces?mac__contains=:05", "5"),
        ("interfaces?vlans=red", "0 1"),
        ("interfaces?vlans__in=blue,1", "0 1"),
        ("interfaces?vlans=blue", ""),
        ("interfaces?q=52:54:00:00:00:04", "4"),
        ("addresses?ip=10.0.0.2", "2"),
        ("addresses?ip=10.0.0.2/32", "2"),
        ("addresses?ip__in=10.0.0.2,2001:DB8:0::3", "2 3"),
        ("addresses?ip__ne=10.0.0.2&ip__lt=10.0.0.4/24", "0 1 3"),
        ("addresses?ip__gt=2001:db8::4/64", "5 6"),
        ("addresses?ip__startswith=10.0.0.6", "6"),
        ("addresses?interface=52:54:00:00:00:06&ip__contains=db8", "6"),
        ("addresses?q=2001:db8:0:0::1", "1"),
    ] {
        assert_eq!(found(&app, query).await, expected, "{query}");
    }
}

/// For each type, a value that it has, and some that it cannot have.
fn values(ty: Type) -> (&'static str, &'static [&'static str]) {
    match ty {
        Type::Int => ("%2B7", &["x", "", "1.0", "9223372036854775808", "1e3", "%201"]),
        Type::Float => ("1e-400", &["x", "", "NaN", "inf", "-infinity", "1e400"]),
        Type::Time => (
            "2026-12-01t02:00:60.123456789%2B23:59",
            &["x", "", "2026-12-01", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00", "now", "infinity", "epoch"],
        ),
        Type::Ip => ("::FFFF:1.2.3.4", &["x", "", "10.0.0.256", "10.0.0.1/24", "010.0.0.1", "fe80::1%25eth0"]),
        Type::Inet => ("10.0.0.1/24", &["x", "", "10.0.0.256", "10.0.0.1/33", "10.1", "::1/129"]),
        Type::Cidr => ("10.0.0.0/24", &["x", "", "10.0.0.1/24", "10.0.0.0", "10.0.0.0/-1"]),
        Type::Mac => ("52-54-00-AA-00-01", &["x", "", "52:54:00:aa:00", "%2B1:54:00:aa:00:01", "5254.00aa.0001"]),
        Type::Uuid => ("urn:uuid:0F8FAD5B-D9CB-469F-A165-70867728950E", &["x", "", "0f8fad5b", "%7B%7D"]),
        _ => ("anything%20at%20all'%22%5C;%25_%F0%9F%98%80", &["%00", "a%00b"]),
    }
}

#[rocket::async_test]
async fn every_operator_works_on_every_column_or_is_refused_by_name() {
    let app = App::start().await;
    for &kind in KINDS {
        let list = format!("/v1/{}", kind.name());
        app.post(&list, example(kind)).await;
        for column in kind.columns() {
            let (good, bad) = values(column.ty);
            for operator in ["", "__ne", "__lt", "__lte", "__gt", "__gte", "__in", "__contains", "__startswith"] {
                let asked = format!("{list}?{}{operator}", column.name);
                let takes = match column.ty {
                    Type::Owned(_) | Type::Json | Type::Lines(_) => false,
                    Type::Many(_) | Type::Labels => matches!(operator, "" | "__in"),
                    Type::Ref(_) => matches!(operator, "" | "__ne" | "__in"),
                    _ => true,
                };
                let answer = app.get(&format!("{asked}={good}")).await;
                assert_eq!(answer.status, if takes { 200 } else { 400 }, "{asked}={good} {}", answer.text());
                let any_text = matches!(operator, "__contains" | "__startswith");
                for value in bad.iter().filter(|value| !any_text || value.contains("%00")) {
                    let problem = app.get(&format!("{asked}={value}")).await.is(Status::BadRequest);
                    let detail = problem["detail"].as_str().unwrap();
                    assert!(detail.contains(&format!("{}{operator}", column.name)), "{asked} {detail}");
                }
            }
            for (value, status) in [("true", 200), ("false", 200), ("maybe", 400), ("", 400)] {
                let answer = app.get(&format!("{list}?{}__isnull={value}", column.name)).await;
                let status = if column.is_stored() && !matches!(column.ty, Type::Labels) { status } else { 400 };
                assert_eq!(answer.status, status, "{list} {} isnull {value}", column.name);
            }
            assert_eq!(app.get(&format!("{list}?{}__like=1", column.name)).await.status, 400);
        }
    }
}

#[rocket::async_test]
async fn pages_lose_nothing_and_show_nothing_twice() {
    for &kind in KINDS {
        let (app, list) = (App::start().await, format!("/v1/{}", kind.name()));
        let first = app.post(&list, example(kind)).await.is(Status::Created);
        multiply(&app, kind.table()).await;
        let whole = app.get(&format!("{list}?limit=1000")).await.is(Status::Ok);
        let all: BTreeSet<i64> = whole["items"].as_array().unwrap().iter().map(|i| i["id"].as_i64().unwrap()).collect();
        assert!(all.len() >= 10, "{list} {} {first}", all.len());
        for column in kind.columns() {
            for sort in [column.name.to_owned(), format!("-{}", column.name), format!("updated_at,-{}", column.name)] {
                if !column.is_stored() || !column.ty.is_sortable() {
                    assert_eq!(app.get(&format!("{list}?sort={sort}")).await.status, 400, "{list} {sort}");
                    continue;
                }
                let at_once = ids(&app.get(&format!("{list}?limit=1000&sort={sort}")).await.is(Status::Ok));
                let (mut seen, mut url) = (Vec::new(), format!("{list}?limit=3&sort={sort}&fields=id"));
                while !url.is_empty() {
                    let answer = app.get(&url).await;
                    let page = answer.is(Status::Ok);
                    let next = page["links"]["next"].as_str().unwrap_or_default().to_owned();
                    let link = if next.is_empty() { String::new() } else { format!("<{next}>; rel=\"next\"") };
                    assert_eq!((answer.header("Link"), &page["total"]), (link.as_str(), &json!(all.len())));
                    assert_eq!(page["links"]["self"].as_str().unwrap().replace("%2C", ","), url.replace("%2C", ","));
                    seen.extend(ids(&page));
                    url = next;
                }
                assert_eq!(seen, at_once, "{list} {sort}");
                assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), all, "{list} {sort}");
            }
        }
        app.end().await;
    }
}

fn ids(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
}

/// Ten copies of the last row, without the constraints; every third without what may be null.
async fn multiply(app: &App, table: &str) {
    let columns = "SELECT column_name, is_nullable, udt_name FROM information_schema.columns \
        WHERE table_schema = 'public' AND is_generated = 'NEVER' AND column_name <> 'id' AND table_name = ";
    let columns = harness::rows(&app.dsn, &format!("{columns}'{table}'")).await;
    let names: Vec<_> = columns.iter().map(|column| column[0].as_str()).collect();
    let values = columns.iter().map(|column| match (column[1].as_str(), column[2].as_str()) {
        ("YES", _) => format!("CASE WHEN n % 3 > 0 THEN {} END", column[0]),
        (_, "timestamptz") => format!("{} - n % 4 * interval '1 microsecond'", column[0]),
        _ => column[0].clone(),
    });
    let unchecked = format!(
        "DO $$ DECLARE c record; BEGIN FOR c IN SELECT conname FROM pg_constraint WHERE conrelid = '{table}'::regclass \
         AND contype IN ('u', 'c', 'f', 'x') LOOP EXECUTE format('ALTER TABLE {table} DROP CONSTRAINT %I CASCADE', c.conname); \
         END LOOP; END $$; DROP INDEX IF EXISTS addresses_ip_key; ALTER TABLE {table} DISABLE TRIGGER USER"
    );
    harness::sql(&app.dsn, &unchecked).await;
    let copies = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM (SELECT * FROM {table} ORDER BY id DESC LIMIT 1) AS last, \
         generate_series(1, 10) AS n",
        names.join(", "),
        values.collect::<Vec<_>>().join(", ")
    );
    harness::sql(&app.dsn, &copies).await;
}

#[rocket::async_test]
async fn what_is_not_understood_is_named() {
    let app = seven_nodes().await;
    let cursor = app.get("/v1/nodes?limit=1&sort=fqdn").await.is(Status::Ok)["links"]["next"].clone();
    let cursor = cursor.as_str().unwrap().split("cursor=").nth(1).unwrap().to_owned();
    let foreign = format!("cursor={cursor}&sort=location");
    for wrong in [
        "fqdnn=x",
        "fqdn__like=x",
        "fqdn__=x",
        "__in=x",
        "limit=0",
        "limit=1&limit=2",
        "count=exact&count=exact",
        "sort=id&sort=-id",
        "fields=id&fields=id",
        "limit=1001",
        "limit=-1",
        "limit=x",
        "limit=",
        "sort=x",
        "sort=",
        "sort=fqdn,",
        "sort=--fqdn",
        "sort=parameters",
        "cursor=x",
        "cursor=",
        "cursor=W10",
        "cursor=WyJpZCIsW251bGxdXQ",
        "cursor=%ff",
        &foreign,
        "id=x",
        "id__in=1,x",
        "state__gt=1",
        "state__contains=r",
        "parameters=x",
        "location__isnull=maybe",
        "embed=fqdn",
        "embed=",
        "embed=interfaces.mac",
        "embed=unicorns",
        "embed=interfaces.addresses.interface.node.interfaces",
        "fqdn__contains=%00",
        "fields=x",
        "fields=",
        "count=x",
        "q=",
        "q=%00",
        "dry_run=x",
        "dry_run=",
        "unknown",
        "=x",
    ] {
        let problem = app.get(&format!("/v1/nodes?{wrong}")).await.is(Status::BadRequest);
        let (detail, name) = (problem["detail"].as_str().unwrap(), wrong.split('=').next().unwrap());
        assert!(detail.contains(name) || wrong.contains("%ff"), "{wrong} {detail}");
    }
    // One object has no filters, and a change of it has only what shows it.
    for (method, url) in [
        (Method::Get, "/v1/nodes/hv1.x?limit=1"),
        (Method::Get, "/v1/nodes/hv1.x?fqdn=x"),
        (Method::Patch, "/v1/nodes/hv1.x?sort=fqdn"),
        (Method::Post, "/v1/nodes?fqdn=x"),
        (Method::Delete, "/v1/nodes/hv1.x?cascade=true"),
        (Method::Get, "/v1?x=1"),
    ] {
        app.json(method, url, json!({})).await.is(Status::BadRequest);
    }
}

#[rocket::async_test]
async fn totals_are_exact_until_that_takes_long() {
    let app = App::start().await;
    let many =
        "INSERT INTO vlans (name, tag) SELECT 'v' || n, n % 4000 + 1 FROM generate_series(1, 12000) AS n; ANALYZE";
    harness::sql(&app.dsn, many).await;
    for (query, exact) in
        [("", false), ("?tag__lt=2000", true), ("?count=exact", true), ("?tag__gt=1&count=exact", true)]
    {
        let list = app.get(&format!("/v1/vlans{query}")).await.is(Status::Ok);
        assert_eq!(list.get("total_is_estimate"), if exact { None } else { Some(&json!(true)) }, "{query}");
        let total = list["total"].as_i64().unwrap();
        match query {
            "" => assert!((10_001..15_000).contains(&total), "{total}"),
            "?count=exact" => assert_eq!(total, 12_000),
            "?tag__lt=2000" => assert_eq!(total, 5_997),
            _ => assert_eq!(total, 11_997),
        }
        assert_eq!(list["items"].as_array().unwrap().len(), 50, "the default");
    }
    assert_eq!(app.get("/v1/vlans?limit=1000").await.is(Status::Ok)["items"].as_array().unwrap().len(), 1000);
}

#[rocket::async_test]
async fn related_objects_are_shown_whole_where_asked() {
    let app = seven_nodes().await;
    let whole = |item: &Value, url: &str| {
        let mut item = item.clone();
        assert_eq!(item.as_object_mut().unwrap().remove("href"), Some(json!(url)));
        item
    };
    let node = app.get("/v1/nodes/1").await.is(Status::Ok);
    let interface = app.get("/v1/interfaces/1?embed=node").await.is(Status::Ok);
    assert_eq!(whole(&interface["node"], "/v1/nodes/1"), node);
    let list = app.get("/v1/nodes?embed=interfaces.addresses,interfaces.vlans,state&limit=2").await.is(Status::Ok);
    let first = &list["items"][0];
    assert_eq!(first["state"]["created_at"], first["state"]["updated_at"]);
    let embedded = &first["interfaces"][0];
    assert_eq!(whole(&embedded["addresses"][1], "/v1/addresses/2"), app.get("/v1/addresses/2").await.is(Status::Ok));
    assert_eq!(whole(&embedded["vlans"][0], "/v1/vlans/1"), app.get("/v1/vlans/1").await.is(Status::Ok));
    assert_eq!(embedded["node"], json!({"id": 1, "fqdn": "hv0.x", "href": "/v1/nodes/1"}));
    // A list that holds nothing is there, too.
    let short = app.get("/v1/nodes/hv1.x?fields=fqdn&embed=bonds").await.is(Status::Ok);
    assert_eq!(short, json!({"fqdn": "hv1.x", "bonds": []}));
    let short = app.get("/v1/interfaces?fields=mac,node&embed=node.interfaces&limit=1").await.is(Status::Ok);
    assert_eq!(short["items"][0].as_object().unwrap().keys().collect::<Vec<_>>(), ["mac", "node"]);
    assert_eq!(short["items"][0]["node"]["interfaces"][0]["mac"], short["items"][0]["mac"]);
    // Where several references lead to the same kind, the relation says which it is by.
    let by = app.get("/v1/networks?embed=nodes_by_storage_network").await.is(Status::Ok);
    assert_eq!(by["items"], json!([]));
}

#[rocket::async_test]
async fn every_relation_can_be_embedded() {
    let app = App::start().await;
    for &kind in KINDS {
        app.post(&format!("/v1/{}", kind.name()), example(kind)).await;
    }
    for &kind in KINDS {
        for column in kind.columns().iter().filter(|column| column.any_target().is_some()) {
            let target = column.any_target().unwrap();
            let list = app.get(&format!("/v1/{}?embed={}", kind.name(), column.name)).await.is(Status::Ok);
            for item in list["items"].as_array().unwrap() {
                let shown = &item[column.name];
                for object in shown.as_array().unwrap_or(&vec![shown.clone()]).iter().filter(|o| !o.is_null()) {
                    let mut found = app.get(&by_key(target, object)).await.is(Status::Ok);
                    found["href"] = object["href"].clone();
                    assert_eq!(*object, found, "{} {}", kind.name(), column.name);
                }
            }
        }
    }
}

#[rocket::async_test]
async fn a_page_waits_once_for_all_that_is_on_one_level() {
    let app = demo().await;
    let mut log = Log::start(&app.dsn).await;
    let relay = Relay::start(&app.dsn);
    // One connection, on which the first request of each kind prepares the statements.
    let fresh = App::with_pool(&relay.dsn, 1).await;
    for (list, round_trips, told) in [
        ("/v1/vms", 4, "BEGIN; the page and its total; references; COMMIT"),
        ("/v1/vms?embed=hypervisor,interfaces,volumes", 5, "the same, and the references of what is embedded"),
    ] {
        fresh.get(list).await.is(Status::Ok);
        log.statements().await;
        relay.round_trips();
        fresh.get(list).await.is(Status::Ok);
        // Who asks is looked up once a second: a question, and a note that the token was used.
        let looked_up = log.statements().await.iter().filter(|text| text.contains("token_secrets")).count();
        assert_eq!(relay.round_trips() - 2 * looked_up, round_trips, "{told}");
    }
}
