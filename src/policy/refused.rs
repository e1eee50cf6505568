//! What a policy that is wrong is answered with.

use super::Policy;

#[test]
fn an_unknown_word_is_answered_with_the_nearest_known_one() {
    check("[[rules]]", r#"1:3: unknown key "rules"; did you mean "rule"?"#);
    check("[[rule]]\nrespons = 'plan'", r#"2:1: unknown key "respons"; did you mean "response"?"#);
    check("[[rule]]\nresponse = 'contian'", r#"2:12: unknown response "contian"; did you mean "contain"?"#);
    check_key("severity = 'hihg'", r#"4:12: unknown severity "hihg"; did you mean "high"?"#);
    check_key("remediations = ['key']", r#"4:17: unknown remediation "key"; did you mean "compromised-access-key"?"#);
    check_key(
        "remediations = ['exposedport']",
        r#"4:17: unknown remediation "exposedport"; did you mean "exposed-port"?"#,
    );
}

#[test]
fn an_unknown_word_that_is_near_to_none_is_answered_with_them_all() {
    check("[[rule]]\nresponse = 'rm'", r#"2:12: unknown response "rm"; there is: notify, plan, approve, contain"#);
    check("x = 1", r#"1:1: unknown key "x"; there is: rule"#);
    let known = "compromised-access-key, stolen-role-session, compromised-instance, exposed-port";
    check_key("remediations = ['reboot']", &format!(r#"4:17: unknown remediation "reboot"; there is: {known}"#));
}

#[test]
fn a_value_of_the_wrong_kind_is_answered_with_the_right_kind() {
    check("rule = 1", r#"1:8: "rule" is written in double brackets, [[rule]]"#);
    check("rule = [1]", "1:9: expected a table, found: integer");
    check("[rule]\nresponse = 'plan'", r#"1:1: "rule" is written in double brackets, [[rule]]"#);
    check("[[rule]]\ntypes = '*'", r#"2:9: "types" wants a list, as in types = ["…"]"#);
    check("[[rule]]\nresponse = ['plan']", "2:12: expected a text in quotes, found: array");
    check_key("name = ' '", "4:8: a name must not be empty");
    check_key("tags = 'dev'", r#"4:8: "tags" wants a table, as in tags = { env = "dev" }"#);
    check_key("tags = { env = ['dev'] }", "4:16: expected a text in quotes, found: array");
    check_key("tags = { team.name = 'a' }", "4:10: a tag's key with a dot in it is written in quotes");
}

#[test]
fn a_value_that_nothing_can_match_is_answered_with_what_could() {
    check("[[rule]]\ntypes = ['EC2/*']", r#"2:10: no finding type can match "EC2/*"; did you mean "*:EC2/*"?"#);
    check_key("regions = ['EU-*']", r#"4:12: no region can match "EU-*"; regions look like "eu-west-1""#);
    check_key("tags = { env = 'a{' }", r#"4:16: "a{" is no glob: a { has no }"#);
    check_key("severity = 11", "4:12: 11 is not a severity from 0 to 10");
    check_key("severity = nan", "4:12: nan is not a severity from 0 to 10");
    check_key("severity = true", r#"4:12: expected a number from 0 to 10, or a word such as "high", found: boolean"#);
}

#[test]
fn an_account_id_is_twelve_digits_in_quotes() {
    check_key(
        "accounts = ['1234-5678-9012']",
        r#"4:13: "1234-5678-9012" is not an account id, which is twelve digits"#,
    );
    let quotes = "4:13: an account id is written in quotes: a number would lose its leading zeros";
    check_key("accounts = [123456789012]", quotes);
    check_key("accounts = [012345678901]", "4:13: a number cannot begin with 0; an account id is written in quotes");
}

#[test]
fn an_empty_condition_reads_as_all_and_means_none() {
    check("[[rule]]\ntypes = []", r#"2:9: "types" is empty; name at least one"#);
    check_key(
        "accounts = []\ntags = {}",
        "4:12: \"accounts\" is empty; name at least one\n5:8: \"tags\" is empty; name at least one",
    );
}

#[test]
fn a_rule_needs_its_types_and_its_response() {
    let types = r#"rule 1 has no "types"; types = ["*"] is every finding"#;
    let response = r#"rule 1 has no "response"; there is: notify, plan, approve, contain"#;
    check("# é\n  [[rule]]\n  name = 'x'", &format!("2:3: {response}\n2:3: {types}"));
}

#[test]
fn a_rule_that_is_never_reached_is_in_the_wrong_place() {
    let all = "[[rule]]\ntypes = ['Recon:*', '*']\nseverity = 'low'\nresponse = 'plan'";
    let tor = "[[rule]]\nname = 'tor'\ntypes = ['*/Tor*']\nresponse = 'contain'";
    let moved = r#"5:1: "tor" is never reached, as "rule 1" above it takes every finding; move it up"#;
    check(&format!("{all}\n{tor}"), moved);
    check(&format!("{tor}\n{tor}"), r#"5:1: another rule before this one is named "tor""#);
}

#[test]
fn every_problem_is_told_at_once_and_where_it_is() {
    let text = "[[rule]]\nname = 1\ntypes = ['EC2']\n[[rule]]\nresponse = 'go'\n[limit]";
    let told = [
        "2:8: expected a text in quotes, found: integer",
        r#"3:10: no finding type can match "EC2"; did you mean "*EC2*"?"#,
        r#"5:12: unknown response "go"; there is: notify, plan, approve, contain"#,
        r#"6:2: unknown key "limit"; there is: rule"#,
    ];
    check(text, &told.join("\n"));
    check("[[rule]]\ntypes = ['*'\nresponse = plan", "3:1: missing comma between array elements, expected `,`");
    assert_eq!(Policy::parse("rule = 1", &[]).unwrap_err().to_string().split(' ').next(), Some("policy.toml:1:8:"));
}

/// Checks a rule that is right but for the last line or lines, which begin at line 4.
fn check_key(lines: &str, expect: &str) {
    check(&format!("[[rule]]\ntypes = ['A:B/*']\nresponse = 'plan'\n{lines}"), expect);
}

fn check(text: &str, expect: &str) {
    let known = ["compromised-access-key", "stolen-role-session", "compromised-instance", "exposed-port"];
    let error = Policy::parse(text, &known).unwrap_err().to_string();
    assert_eq!(error.replace("policy.toml:", ""), expect, "{text}");
}
