//! `${...}`, sources that are no configuration, hostile YAML, and printing.

use std::io::Write as _;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use super::{BASE, id, read, source};
use crate::config::sections::{Exporter, GrpcExporter};
use crate::config::{Problems, load, resolve, to_json, to_yaml};

fn exporter(patch: &str, env: &[(&str, &str)]) -> (GrpcExporter, Problems) {
    let (config, problems) = read(&[BASE, patch], &[], env).unwrap_or_else(|p| panic!("{p}"));
    let Exporter::Grpc(exporter) = &config.exporters[&id("otlp_grpc")] else { panic!() };
    (exporter.as_ref().clone(), problems)
}

fn header(value: &str, env: &[(&str, &str)]) -> String {
    let patch = format!("exporters: {{otlp_grpc: {{headers: {{a: {value}}}}}}}");
    exporter(&patch, env).0.headers[0].1.expose().clone()
}

#[test]
fn a_reference_is_a_string_where_a_string_is_wanted_and_typed_elsewhere() {
    let env = [("N", "0123"), ("B", "true"), ("D", "7s"), ("S", "a: b"), ("E", ""), ("Q", "\"q\"")];
    for (text, wanted) in [
        ("'${env:N}'", "0123"),
        ("'${B}'", "true"),
        ("'${env:S}'", "a: b"),
        ("'${env:Q}'", "\"q\""),
        ("'x${env:N}y'", "x0123y"),
        ("'${env:NONE:-d}'", "d"),
        ("'${env:NONE:-}'", ""),
        ("'${env:E:-d}'", ""),
        ("'${env:${env:P:-N}}'", "0123"),
        ("'$$'", "$"),
        ("'$${env:N}'", "${env:N}"),
        ("'a$$b${env:N}'", "a$b0123"),
        ("'cost: 5$'", "cost: 5$"),
        ("'${yaml:v}'", "v"),
    ] {
        assert_eq!(header(text, &env), wanted, "{text}");
    }
    let (found, _) =
        exporter("exporters: {otlp_grpc: {timeout: '${env:D}', wait_for_ready: '${B}'}}", &env);
    assert_eq!((found.timeout, found.wait_for_ready), (Duration::from_secs(7), true));
    let (found, _) = exporter(
        "exporters: {otlp_grpc: {sending_queue: '${env:M}'}}",
        &[("M", "{queue_size: 5}")],
    );
    assert_eq!(found.queue.unwrap().queue_size, 5);
}

#[test]
fn what_a_variable_holds_is_never_a_template() {
    assert_eq!(header("'${env:P}'", &[("P", "a$$b${env:X}$"), ("X", "leak")]), "a$$b${env:X}$");
    assert_eq!(header("'Bearer ${env:P}'", &[("P", "$$")]), "Bearer $$");
}

#[test]
fn an_unset_variable_warns_and_is_the_zero_value() {
    let (found, problems) = exporter("exporters: {otlp_grpc: {timeout: '${env:NONE}'}}", &[]);
    assert_eq!(found.timeout, Duration::ZERO);
    assert_eq!(problems.warnings.len(), 1, "{problems}");
    assert_eq!(problems.warnings[0].reason, "env_unset");
    assert!(problems.warnings[0].message.contains("NONE"), "{problems}");
}

#[test]
fn a_file_loses_one_line_end_and_its_maps_are_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "secret$$\n").unwrap();
    assert_eq!(header(&format!("'${{file:{}}}'", token.display()), &[]), "secret$$");
    let part = folder.path().join("part.yaml");
    std::fs::write(&part, "timeout: ${env:D}\nendpoint: other:1\n").unwrap();
    let patch = format!("exporters: {{otlp_grpc: '${{file:{}}}'}}", part.display());
    let (found, _) = exporter(&patch, &[("D", "3s")]);
    assert_eq!((found.timeout, found.endpoint.as_str()), (Duration::from_secs(3), "other:1"));
    let own = folder.path().join("own.yaml");
    std::fs::write(&own, format!("a: ${{file:{}}}", own.display())).unwrap();
    let problems =
        read(&[BASE, &format!("receivers: '${{file:{}}}'", own.display())], &[], &[]).unwrap_err();
    assert!(problems.to_string().contains("include"), "{problems}");
}

#[test]
fn references_that_mean_nothing_are_refused_by_key() {
    for text in
        ["${", "${env:}", "${env:a-b}", "${ftp:x}", "${https://x}", "${file:/none}", "a${env:1}"]
    {
        let patch = format!("exporters: {{otlp_grpc: {{headers: {{a: '{text}'}}}}}}");
        let problems = read(&[BASE, &patch], &[], &[]).unwrap_err();
        assert_eq!(problems.errors.len(), 1, "{text}: {problems}");
        assert_eq!(problems.errors[0].key_path, "exporters.otlp_grpc.headers.a", "{text}");
    }
}

#[test]
fn a_default_without_env_is_taken_and_the_collector_named() {
    let (found, problems) = exporter("exporters: {otlp_grpc: {endpoint: '${X:-a:1}'}}", &[]);
    assert_eq!(found.endpoint, "a:1");
    assert!(problems.warnings[0].message.contains("Collector"), "{problems}");
}

#[test]
fn sources_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
    let latin = folder.path().join("latin");
    std::fs::write(&latin, b"a: \xe4").unwrap();
    let large = folder.path().join("large");
    let file = std::fs::File::create(&large).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    for (location, text) in [
        ("/nowhere.yaml".to_owned(), "No such file"),
        ("nowhere.yaml".to_owned(), "relative paths begin at"),
        ("-".to_owned(), "/dev/stdin"),
        (folder.path().display().to_string(), "regular file"),
        (fifo.display().to_string(), "regular file"),
        (latin.display().to_string(), "UTF-8"),
        (large.display().to_string(), "longer"),
        ("https://example.invalid/a.yaml".to_owned(), "network"),
        ("env:NONE".to_owned(), "not set"),
        ("s3:bucket".to_owned(), "unsupported scheme"),
    ] {
        let problems = load(&source(&[&location], &[], &[])).unwrap_err();
        assert!(problems.to_string().contains(text), "{text} not in {problems}");
    }
    assert!(load(&source(&[], &[], &[])).is_err());
}

#[test]
fn files_and_variables_are_sources_and_the_file_is_named_with_line_and_column() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "\u{feff}{BASE}\nexporters::otlp_grpc::timout: 1s\n---\nsecond: document\n")
        .unwrap();
    let path = file.path().display().to_string();
    let problems = load(&source(&[&format!("file:{path}")], &[], &[])).unwrap_err();
    let text = problems.to_string();
    assert!(
        text.contains(&format!("{path}:6:1: exporters.otlp_grpc.timout: unknown key")),
        "{text}"
    );
    assert!(text.contains("did you mean \"timeout\""), "{text}");
    assert!(text.contains("second YAML document"), "{text}");
    load(&source(&["env:CONFIG"], &[], &[("CONFIG", BASE)])).unwrap();
}

#[test]
fn set_reaches_keys_and_says_when_it_cannot() {
    for (set, text) in [
        ("exporters.otlp_grpc/v1.2.timeout=1s", "dots separate keys"),
        ("novalue", "equal sign"),
        ("a..b=1", "empty"),
        ("exporters.otlp_grpc.timeout=[", "duration"),
    ] {
        let base = format!("{BASE}\nexporters::otlp_grpc/v1.2::endpoint: x:1\n");
        let problems = read(&[&base], &[set], &[]).unwrap_err();
        assert!(problems.to_string().contains(text), "{set}: {problems}");
    }
    let (config, _) =
        read(&[BASE], &["exporters.otlp_grpc.endpoint=${env:E}"], &[("E", "e:1")]).unwrap();
    let Exporter::Grpc(exporter) = &config.exporters[&id("otlp_grpc")] else { panic!() };
    assert_eq!(exporter.endpoint, "e:1");
    // What is no YAML is a text.
    let (config, _) = read(&[BASE], &["exporters.otlp_grpc.endpoint=[::1]:4317"], &[]).unwrap();
    let Exporter::Grpc(exporter) = &config.exporters[&id("otlp_grpc")] else { panic!() };
    assert_eq!(exporter.endpoint, "[::1]:4317");
}

#[test]
fn an_explicit_null_replaces_and_an_empty_file_does_not() {
    let (config, _) = read(
        &[
            &format!("{BASE}\nexporters::otlp_grpc::timeout: 9s"),
            "",
            "exporters: {otlp_grpc: {timeout: null}}",
        ],
        &[],
        &[],
    )
    .unwrap();
    let Exporter::Grpc(exporter) = &config.exporters[&id("otlp_grpc")] else { panic!() };
    assert_eq!(exporter.timeout, Duration::from_secs(5));
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "
x: &base {endpoint: 'a:1', timeout: 1s}
exporters:
  otlp_grpc: {<<: *base, timeout: 2s}
";
    let (found, _) =
        exporter(&text.replace("x: &base", "processors: {}\nexporters::otlp_grpc/b: &base"), &[]);
    assert_eq!((found.endpoint.as_str(), found.timeout), ("a:1", Duration::from_secs(2)));
}

#[test]
fn hostile_yaml_is_refused_quickly() {
    let bomb = format!(
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n{}",
        (1..12)
            .map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(",")))
            .collect::<String>()
    );
    for (text, reason) in [
        ("a: 1\na: 2".to_owned(), "duplicate_key"),
        (bomb, "yaml_too_large"),
        ("[".repeat(100_000), "yaml_too_deep"),
        ("{a: ".repeat(50_000), "yaml_too_deep"),
        (
            (0..50_000).map(|i| format!("{}a:\n", " ".repeat(i % 3000))).collect::<String>(),
            "yaml_too_deep",
        ),
        ("a: &x [*x]".to_owned(), "yaml"),
        ("? [a]\n: b".to_owned(), "yaml"),
        ("a: [1,\nb".to_owned(), "yaml"),
        ("a: *none".to_owned(), "yaml"),
    ] {
        let problems = read(&[&text], &[], &[]).unwrap_err();
        let short: String = text.chars().take(60).collect();
        assert_eq!(problems.errors[0].reason, reason, "{short}: {}", problems.errors[0]);
    }
}

#[test]
fn printing_hides_secrets_and_is_read_as_the_same_again() {
    let patch = r#"
exporters:
  otlp_grpc:
    endpoint: "${env:E}"
    headers: {Authorization: "Bearer a$$b", x: "${env:N}"}
    tls: {ca_pem: "-----BEGIN", cert_file: /c.pem, key_file: /k.pem, min_version: "${env:V}"}
    timeout: ${env:NONE}
    sending_queue: {queue_size: 0x10, num_consumers: 1_0}
service::telemetry::resource: {odd key: "a\tb\u2028c", n: 12}
"#;
    let env = [("E", "e:1"), ("N", "0123"), ("V", "1.3")];
    let made = [format!("yaml:{BASE}"), format!("yaml:{patch}")];
    let made = source(&[&made[0], &made[1]], &[], &env);
    let (tree, _) = resolve(&made).unwrap();
    let (wanted, _) = load(&made).unwrap();
    for text in [to_yaml(&tree, true), to_json(&tree, true)] {
        let (again, _) = load(&source(&[&format!("yaml:{text}")], &[], &[]))
            .unwrap_or_else(|p| panic!("{p}\n{text}"));
        assert_eq!(again, wanted, "{text}");
    }
    for text in [to_yaml(&tree, false), to_json(&tree, false)] {
        assert!(text.contains("[REDACTED]") && text.contains("/k.pem"), "{text}");
        assert!(!text.contains("Bearer") && !text.contains("BEGIN"), "{text}");
        load(&source(&[&format!("yaml:{text}")], &[], &[]))
            .unwrap_or_else(|p| panic!("{p}\n{text}"));
    }
}

/// Scenario: keys that YAML takes only with a question mark before them, above a value, a map and
/// a list, and one that becomes so long by its escapes.
#[test]
fn long_keys_are_printed_so_that_they_are_read_again() {
    let long = |letter: &str, length: usize| letter.repeat(length);
    let escaped = "\\u0001".repeat(400);
    let (a, b, c) = (long("a", 1500), long("b", 1025), long("c", 1024));
    let text = format!("? {a}\n: 1\n? {b}\n: {{x: 1}}\n? {c}\n: [y, z]\n? \"{escaped}\"\n: w\n");
    let keys = |text: &str| {
        let (tree, _) = resolve(&source(&[&format!("yaml:{text}")], &[], &[]))
            .unwrap_or_else(|p| panic!("{p}\n{text}"));
        (to_yaml(&tree, true), to_json(&tree, true))
    };
    let (yaml, json) = keys(&text);
    assert_eq!(keys(&yaml), (yaml.clone(), json.clone()));
    assert_eq!(keys(&json), (yaml, json));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}") {
        let _any = read(&[&text], &[], &[]);
        let _any = read(&[BASE, &text], &[&text], &[("X", &text)]);
    }

    #[test]
    fn random_yaml_never_panics(text in "([a-z]{1,5}|otlp|tls|grpc|[ \\n\\t:{}\\[\\],&*!|>'\"%@`#-]|\\$\\{|\\$|[0-9.]{1,3}|: |\\n  |<<){0,80}") {
        let _any = read(&[&text], &[], &[("a", &text)]);
        let _any = read(&[BASE, &format!("exporters: {{otlp_grpc: {text}}}")], &[], &[("a", &text)]);
    }

    #[test]
    fn what_is_printed_is_read_again(value in "\\PC{0,40}") {
        let json = serde_json::to_string(&value.replace('$', "$$")).unwrap();
        let text = format!("{BASE}\nservice::telemetry::resource: {{a: {json}}}\n");
        let made = source(&[&format!("yaml:{text}")], &[], &[]);
        let (tree, _) = resolve(&made).unwrap();
        let (wanted, _) = load(&made).unwrap();
        prop_assert_eq!(wanted.service.telemetry.resource.get("a"), Some(&value));
        let again = load(&source(&[&format!("yaml:{}", to_yaml(&tree, true))], &[], &[])).unwrap().0;
        prop_assert_eq!(again, wanted);
    }
}
