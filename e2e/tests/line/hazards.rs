//! docs/hazards.md names, for each thing that may never happen, the test that shows it:
//! each of them is there.

use nemeses_e2e::workspace;

#[test]
fn each_test_that_the_page_names_is_there() {
    let root = workspace();
    let page = std::fs::read_to_string(root.join("docs/hazards.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let mut named = 0;
    for row in rows.iter().filter(|row| !row.starts_with("| what may never happen")) {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap();
        let tests: Vec<&str> = last.split('`').filter(|text| text.contains(".rs::")).collect();
        assert!(!tests.is_empty(), "no test shows: {row}");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap();
            let source = std::fs::read_to_string(root.join(file));
            let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
            let there = source.contains(&format!("fn {name}("));
            // Made by a macro of the suite.
            assert!(there || source.contains(&format!("{name}\n")), "{file} has no {name}");
            named += 1;
        }
    }
    assert!(named > 40, "{named}");
}
