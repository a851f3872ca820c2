//! Where settings come from, and how wrong ones are told.

use super::*;
use clap::{CommandFactory, Parser};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
}

fn read(flags: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Problem> {
    let cli = Cli::parse_from(["virtapi"].iter().chain(flags));
    load(&cli.flags, environment.iter().map(|(name, value)| ((*name).into(), (*value).into())))
}

fn problem(flags: &[&str], environment: &[(&str, &str)]) -> String {
    read(flags, environment).err().map_or_else(|| "no problem".to_owned(), |problem| problem.to_string())
}

/// A settings file that stays for the test.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("virtapi.toml");
    std::fs::write(&path, text).expect("writes");
    let path = path.display().to_string();
    (dir, path)
}

#[test]
fn nothing_set_is_the_defaults() {
    let loaded =
        read(&[], &[("PATH", "/bin"), ("VIRTAPI_ENC_URL", "x"), ("VIRTAPI_AGENT_URL", "x"), ("DATABASE_URL", "")])
            .expect("loads");
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.source("port"), "default");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let (_dir, path) = file("port = 1\nworkers = 1\npool_size = 1\n");
    let environment = [("VIRTAPI_CONFIG", &*path), ("VIRTAPI_PORT", "2"), ("VIRTAPI_WORKERS", "2")];
    let loaded = read(&["--port", "3"], &environment).expect("loads");
    let settings = &loaded.settings;
    assert_eq!((settings.port, settings.workers, settings.pool_size), (3, 2, 1));
    assert_eq!(loaded.source("port"), "flag --port");
    assert_eq!(loaded.source("workers"), "environment variable VIRTAPI_WORKERS");
    assert_eq!(loaded.source("pool_size"), path);
}

#[test]
fn text_that_looks_like_a_number_stays_text() {
    let loaded = read(&[], &[("VIRTAPI_DATA_DIR", "1e3"), ("VIRTAPI_REQUEST_BODY_LIMIT", "2MiB")]).expect("loads");
    assert_eq!(loaded.settings.data_dir, Path::new("1e3"));
    assert_eq!(loaded.settings.request_body_limit, 2.mebibytes());
}

#[test]
fn a_specific_database_wins_over_the_common_variable() {
    let environment = [("DATABASE_URL", "postgres://a/a"), ("VIRTAPI_DATABASE_URL", "postgres://b/b")];
    let loaded = read(&[], &environment).expect("loads");
    assert_eq!(loaded.settings.database_url.expect("set").expose(), "postgres://b/b");
}

#[test]
fn a_wrong_setting_is_named_with_its_place() {
    let cases = [
        (("VIRTAPI_PORT", "http"), "wrong setting port (environment variable VIRTAPI_PORT): invalid type"),
        (("VIRTAPI_PORT", "65536"), "wrong setting port (environment variable VIRTAPI_PORT)"),
        (("VIRTAPI_PORT", ""), "wrong setting port"),
        (("VIRTAPI_ADDRESS", "here"), "wrong setting address"),
        (("VIRTAPI_POOL_SIZE", "0"), "wrong setting pool_size (environment variable VIRTAPI_POOL_SIZE): must be 1"),
        (("VIRTAPI_POOL_SIZE", "-1"), "wrong setting pool_size"),
        (("VIRTAPI_WORKERS", "100000"), "wrong setting workers"),
        (
            ("VIRTAPI_QUERY_TIMEOUT", "0"),
            "wrong setting query_timeout (environment variable VIRTAPI_QUERY_TIMEOUT): must be 1",
        ),
        (("VIRTAPI_REQUEST_BODY_LIMIT", "1"), "wrong setting request_body_limit"),
        (("VIRTAPI_REQUEST_BODY_LIMIT", "much"), "wrong setting request_body_limit"),
        (("VIRTAPI_DOCUMENT_CACHE", "65GiB"), "wrong setting document_cache"),
        (("VIRTAPI_SHUTDOWN_GRACE", "4000"), "wrong setting shutdown_grace"),
        (("VIRTAPI_EVENT_RETENTION", "59"), "wrong setting event_retention"),
        (("VIRTAPI_WEBHOOK_NETWORKS", "10.0.0.0/8,here"), "wrong setting webhook_networks"),
        (("VIRTAPI_WEBHOOK_HTTP", "perhaps"), "wrong setting webhook_http"),
        (("VIRTAPI_WEBHOOK_RETENTION", "0"), "wrong setting webhook_retention"),
        (
            ("VIRTAPI_AMQP_URL", "http://broker"),
            "wrong setting amqp_url (environment variable VIRTAPI_AMQP_URL): must be",
        ),
        (("VIRTAPI_AMQP_EXCHANGE", ""), "wrong setting amqp_exchange"),
        (
            ("VIRTAPI_MAC_RANGE", "52:54:00:00:00:00"),
            "wrong setting mac_range (environment variable VIRTAPI_MAC_RANGE): must",
        ),
        (
            ("VIRTAPI_VLAN_POOL", "1-4095"),
            "wrong setting vlan_pool (environment variable VIRTAPI_VLAN_POOL): must be like 1-4094",
        ),
        (("VIRTAPI_VNI_POOL", "5-4"), "wrong setting vni_pool"),
        (("VIRTAPI_LOG_FORMAT", "xml"), "wrong setting log_format"),
        (("VIRTAPI_LOG_LEVEL", "loud"), "wrong setting log_level"),
        (("VIRTAPI_DATA_DIR", ""), "wrong setting data_dir"),
        (("DATABASE_URL", "postgres://h:port/x"), "wrong setting database_url (environment variable DATABASE_URL"),
        (("VIRTAPI_PROT", "1"), "unknown setting: environment variable VIRTAPI_PROT; the settings are address, port"),
    ];
    for (variable, expected) in cases {
        let problem = problem(&[], &[variable]);
        assert!(problem.starts_with(expected), "{variable:?}: {problem}");
    }
}

#[test]
fn a_wrong_file_is_named() {
    let (_dir, path) = file("prot = 1\n");
    assert!(problem(&["--config", &path], &[]).starts_with(&format!("unknown setting: prot ({path})")));
    let (_dir, path) = file("port = \"x\"\n");
    assert!(problem(&["--config", &path], &[]).starts_with(&format!("wrong setting port ({path}): ")));
    let (_dir, path) = file("port = \n");
    assert!(problem(&["--config", &path], &[]).starts_with(&format!("the settings cannot be read ({path}): ")));
    assert!(problem(&["--config", "/nowhere.toml"], &[]).starts_with("the settings file /nowhere.toml cannot be read"));
}

#[test]
fn passwords_are_not_shown() {
    for url in ["postgres://me:hunter2@db,db2:5433/x?application_name=a", "host=db user=me password=hunter2 dbname=x"] {
        let shown = format!("{0} {0:?} {1}", DatabaseUrl::from(url.to_owned()), url.len());
        assert!(!shown.contains("hunter2") && shown.contains("me:***@db"), "{shown}");
    }
    assert!(!problem(&["--database-url", "postgres://u:hunter2@h:bad/x"], &[]).contains("hunter2"));
    let cli = Cli::parse_from(["virtapi", "--database-url", "postgres://me:hunter2@db/x"]);
    assert!(!format!("{:?}", cli.flags).contains("hunter2"), "{:?}", cli.flags);
    let loaded = load(&cli.flags, []).expect("loads");
    let settings = &loaded.settings;
    assert!(!format!("{settings:?}").contains("hunter2"), "{settings:?}");
    assert_eq!(settings.database_url.as_ref().expect("is set").expose(), "postgres://me:hunter2@db/x");
}

#[test]
fn the_password_of_a_broker_is_not_shown() {
    let url = "amqps://me:hunter2@rabbit:5671/%2f";
    let loaded = read(&["--amqp-url", url], &[]).expect("loads");
    let settings = &loaded.settings;
    let shown = format!("{settings:?} {}", serde_json::to_string(settings).expect("JSON"));
    assert!(!shown.contains("hunter2") && shown.contains("amqps://me:***@rabbit:5671/%2f"), "{shown}");
    assert_eq!(settings.amqp_url.as_ref().expect("is set").expose(), url);
    assert!(!problem(&["--amqp-url", "amqp://me:hunter2@rabbit:port"], &[]).contains("hunter2"));
}

#[test]
fn networks_are_separated_by_commas() {
    for (given, networks) in [("10.0.0.0/8, fd00::/8", 2), ("127.0.0.0/8", 1), ("", 0)] {
        let loaded = read(&[], &[("VIRTAPI_WEBHOOK_NETWORKS", given)]).expect("loads");
        assert_eq!(loaded.settings.webhook_networks.networks().len(), networks, "{given}");
    }
}

#[test]
fn each_setting_is_a_flag_a_variable_and_documented() {
    let mut cli = Cli::command();
    let help = cli.render_long_help().to_string();
    let docs = include_str!("../../docs/settings.md");
    let Ok(serde_json::Value::Object(defaults)) = serde_json::to_value(Settings::default()) else {
        panic!("settings are an object");
    };
    assert!(defaults.keys().all(|key| KEYS.contains(&key.as_str())), "{defaults:?}");
    for key in KEYS {
        let (flag, variable) = (format!("--{}", key.replace('_', "-")), format!("VIRTAPI_{}", key.to_uppercase()));
        assert!(help.contains(&flag) && help.contains(&variable), "{key} in --help");
        for name in [format!("`{key}`"), format!("`{flag}`"), format!("`{variable}`")] {
            assert!(docs.contains(&name), "{name} in docs/settings.md");
        }
    }
}
