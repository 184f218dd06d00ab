//! Which check of the checklist is where, and that none is missing.
//!
//! | checks | about | file |
//! |---|---|---|
//! | G1-G6, G15-G19 | every transport and encoding | `common.rs` |
//! | L1-L6, L10, L11 | sizes | `limits.rs` |
//! | R1-R6 | gRPC | `grpc.rs` |
//! | H2-H12, H15, H20, H21 | HTTP | `http.rs` |
//! | J1-J6 | JSON | `json.rs` |
//!
//! The rest is asked of clients: G7-G14, L7-L9, R7, H13, H14, H16-H19, H22. H1 and H7 are, too; a
//! server's side of them is tested nevertheless.

use std::collections::BTreeSet;

/// Every check of OTLP 1.11 that asks something of a server.
const OF_A_SERVER: &[(char, &[u32])] = &[
    ('g', &[1, 2, 3, 4, 5, 6, 15, 16, 17, 18, 19]),
    ('l', &[1, 2, 3, 4, 5, 6, 10, 11]),
    ('r', &[1, 2, 3, 4, 5, 6]),
    ('h', &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 20, 21]),
    ('j', &[1, 2, 3, 4, 5, 6]),
];

const TESTS: &[&str] = &[
    include_str!("common.rs"),
    include_str!("grpc.rs"),
    include_str!("http.rs"),
    include_str!("json.rs"),
    include_str!("limits.rs"),
];

/// Those that are read off the configuration: nothing of them goes over a socket.
const DEFAULTS: [(char, u32); 4] = [('l', 2), ('l', 5), ('r', 2), ('h', 6)];

/// The names of a file's tests that are run in one way only.
fn alone(source: &str) -> impl Iterator<Item = &str> {
    source.split("#[").filter_map(|rest| {
        let is_test = rest.starts_with("test]") || rest.starts_with("tokio::test");
        let (_, name) = rest.split_once("fn ")?;
        name.split_once('(').map(|(name, _)| name).filter(|_| is_test)
    })
}

/// The names of those that are run over every wire.
fn over_sockets(source: &str) -> impl Iterator<Item = &str> {
    let lists = ["\non_every_wire!(", "\non_http1!("];
    let lists = lists.into_iter().filter_map(move |macro_| {
        let (_, list) = source.split_once(macro_)?;
        list.split_once(')').map(|(list, _)| list)
    });
    lists.flat_map(|list| list.split(',').map(str::trim))
}

/// The numbers at the beginning of a name: `l04_l06_a_body...` has two.
fn numbers(name: &str) -> impl Iterator<Item = (char, u32)> {
    name.split('_').map_while(|word| {
        let mut letters = word.chars();
        let group = letters.next().filter(char::is_ascii_lowercase)?;
        letters.as_str().parse().ok().map(|number| (group, number))
    })
}

#[test]
fn every_check_of_a_server_has_a_test_named_by_its_number() {
    let demanded: BTreeSet<(char, u32)> = OF_A_SERVER
        .iter()
        .flat_map(|(group, all)| all.iter().map(|number| (*group, *number)))
        .collect();
    let wired: BTreeSet<(char, u32)> =
        TESTS.iter().flat_map(|source| over_sockets(source)).flat_map(numbers).collect();
    let missing: Vec<_> =
        demanded.difference(&wired).filter(|check| !DEFAULTS.contains(check)).collect();
    assert!(missing.is_empty(), "these have no test over sockets: {missing:?}");
    let tested: BTreeSet<(char, u32)> =
        TESTS.iter().flat_map(|source| alone(source)).flat_map(numbers).chain(wired).collect();
    let missing: Vec<_> = demanded.difference(&tested).collect();
    assert!(missing.is_empty(), "these have no test: {missing:?}");
    let unknown: Vec<_> = tested.difference(&demanded).collect();
    assert!(unknown.is_empty(), "these are not in the table: {unknown:?}");
}
