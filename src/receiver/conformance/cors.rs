//! Browsers: what `cors` lets them do.

use bytes::Bytes;
use http::{Method, Request};

use super::requests::{TestBody, export_json, post, with};
use super::support::Gate;
use super::wire::{Wire, on_every_wire};
use crate::config::sections::Cors;
use crate::otlp::answer::Encoding;
use crate::signal::Signal;

fn gate(wire: Wire, change: impl FnOnce(&mut Cors)) -> Gate {
    let mut cors =
        Cors { allowed_origins: vec!["https://*.shop.example".to_owned()], ..Cors::default() };
    change(&mut cors);
    wire.http(|server| server.cors = Some(cors))
}

fn preflight(origin: &str, headers: &str) -> Request<TestBody> {
    let mut request = post(Signal::Traces, Encoding::Json, Bytes::new());
    *request.method_mut() = Method::OPTIONS;
    request.headers_mut().remove("content-type");
    let request = with(request, "origin", origin);
    let request = with(request, "access-control-request-method", "POST");
    with(request, "access-control-request-headers", headers)
}

async fn a_preflight_of_an_allowed_origin_is_allowed(wire: Wire) {
    let gate = gate(wire, |cors| cors.max_age = 600);
    let reply = gate.ask(preflight("https://web.shop.example", "content-type")).await;
    assert_eq!(reply.http, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://web.shop.example"));
    assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("content-type"));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(reply.header("access-control-max-age"), Some("600"));
}

async fn other_origins_and_headers_are_not_allowed(wire: Wire) {
    let gate = gate(wire, |cors| cors.allowed_headers = vec!["X-Tenant".to_owned()]);
    for (origin, headers, allowed) in [
        ("https://web.shop.example", "x-tenant, content-type", true),
        ("https://WEB.shop.example", "", true),
        ("https://web.shop.example", "authorization", false),
        ("https://web.shop.example", "x-requested-with", false),
        ("https://shop.example", "", false),
        ("https://web.shop.example.evil", "", false),
        ("http://web.shop.example", "", false),
        ("null", "", false),
    ] {
        let reply = gate.ask(preflight(origin, headers)).await;
        assert_eq!(reply.http, 204);
        let found = reply.header("access-control-allow-origin").is_some();
        assert_eq!(found, allowed, "{origin} {headers}");
    }
}

async fn every_other_answer_says_who_may_read_it(wire: Wire) {
    let gate = gate(wire, |cors| cors.exposed_headers = vec!["A".to_owned(), "B".to_owned()]);
    let send = |origin| {
        with(post(Signal::Traces, Encoding::Json, export_json(Signal::Traces)), "origin", origin)
    };
    let reply = gate.ask(send("https://web.shop.example")).await;
    reply.http_accepted(Signal::Traces, Encoding::Json);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://web.shop.example"));
    assert_eq!(reply.header("access-control-expose-headers"), Some("A, B"));
    assert_eq!(reply.header("vary"), Some("Origin"));
    let reply = gate.ask(send("https://evil.example")).await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let mut request = send("https://web.shop.example");
    *request.uri_mut() = "/nothing".parse().unwrap();
    let reply = gate.ask(request).await;
    reply.http_status(404, Encoding::Json);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://web.shop.example"));
}

async fn a_star_allows_any_origin_and_any_header(wire: Wire) {
    let gate = gate(wire, |cors| {
        cors.allowed_origins = vec!["*".to_owned()];
        cors.allowed_headers = vec!["*".to_owned()];
    });
    let reply = gate.ask(preflight("https://any.example", "x-anything")).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("x-anything"));
}

async fn without_cors_a_preflight_is_405(wire: Wire) {
    let gate = wire.gate();
    let reply = gate.refuses("method", preflight("https://web.shop.example", "")).await;
    reply.http_status(405, Encoding::Json);
}

on_every_wire!(
    a_preflight_of_an_allowed_origin_is_allowed,
    other_origins_and_headers_are_not_allowed,
    every_other_answer_says_who_may_read_it,
    a_star_allows_any_origin_and_any_header,
    without_cors_a_preflight_is_405,
);
