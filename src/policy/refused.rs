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
    check("x = 1", r#"1:1: unknown key "x"; there is: rule, protect, operators, organization, guards, limit"#);
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
fn a_protection_says_what_it_is_for_who_answers_for_it_and_why() {
    let what = r#"1:1: this protects everything; name "arns", "paths", "tags" or "accounts""#;
    let owner = r#"1:1: this has no "owner": who decides when a finding is about it?"#;
    let reason = r#"1:1: this has no "reason": what would break?"#;
    check("[[protect]]", &[owner, reason, what].join("\n"));
    check("[protect]", r#"1:1: "protect" is written in double brackets, [[protect]]"#);
    check_protect("", "");
    check_protect("until = 2027-01-31", "");
    check_protect("until = '2027-01-31T18:00:00+01:00'", "");
    let date = "is not a date such as 2027-01-31, or 2027-01-31T18:00:00Z with its offset";
    check_protect("until = 2027-01-31T18:00:00", &format!("5:9: \"2027-01-31T18:00:00\" {date}"));
    check_protect("until = 'soon'", &format!("5:9: \"soon\" {date}"));
    check_protect("until = 2027", "5:9: expected a date such as 2027-01-31, found: integer");
    check_protect("tag = {}", r#"5:1: unknown key "tag"; did you mean "tags"?"#);
    check_protect(
        "arns = ['role/x']",
        r#"5:9: no ARN can match "role/x"; ARNs look like "arn:aws:iam::111122223333:role/*""#,
    );
    check_protect("paths = ['service']", r#"5:10: no path can match "service"; paths look like "/service/""#);
}

#[test]
fn a_setting_that_means_nothing_is_answered_with_what_would() {
    check(
        "[operators]\nroles = ['a/b']",
        r#"2:10: no name can match "a/b"; it is the name alone, without ARN and path"#,
    );
    let kind = r#"2:16: "eve" is neither a user nor a role; write "user/…" or "role/…""#;
    check("[operators]\nbreak_glass = ['eve']", kind);
    let account = r#"1:37: "1" is not an account id, which is twelve digits"#;
    check("organization = {management_account= '1'}", account);
    let length = r#"2:15: "a day" is not a length of time such as "30m", "4h" or "7d""#;
    check("[guards]\nstale_after = 'a day'", length);
    check("[guards]\nstale_after = 24", "2:15: expected a length of time in quotes, such as \"4h\", found: integer");
    check("[guards]\nverify = true", r#"2:1: unknown key "verify"; did you mean "verify_findings"?"#);
    check("guards = 1", r#"1:10: "guards" wants a table, as in guards = { stale_after = "24h" }"#);
    check("[limit]\nper_hour = -1", "2:12: -1 is not a number from 0 upwards");
    check("[limit]\nper_hour = '10'", "2:12: expected a whole number, found: string");
    let remediation = r#"2:1: unknown key "exposedport"; did you mean "exposed-port"?"#;
    check("[limit.remediation]\nexposedport = 1", remediation);
}

#[test]
fn what_a_rule_says_about_time_needs_something_to_be_changed() {
    let none = r#"1:1: "expires" has no meaning here: the response "plan" changes nothing"#;
    check_key("expires = '4h'", none);
    check_key("max_blast = 3", &none.replace("expires", "max_blast"));
    check_key("approval = { within = '1h' }", &none.replace("expires", "approval"));
    let rule = |last: &str| format!("[[rule]]\ntypes = ['A:B/*']\nresponse = 'approve'\n{last}");
    check(
        &rule("approval = { fallback = 'abandon' }"),
        r#"4:12: "approval" does not say how long to wait, as in within = "1h""#,
    );
    check(
        &rule("approval = { within = '1h', fallback = 'do' }"),
        r#"4:40: unknown fallback "do"; there is: contain, abandon"#,
    );
    check(
        &rule("approval = '1h'"),
        r#"4:12: "approval" wants a table, as in approval = { within = "1h", fallback = "abandon" }"#,
    );
    check(&rule("expires = '0s'"), r#"4:11: "0s" must be longer than nothing, and at most ten years"#);
}

#[test]
fn every_problem_is_told_at_once_and_where_it_is() {
    let text = "[[rule]]\nname = 1\ntypes = ['EC2']\n[[rule]]\nresponse = 'go'\n[limits]";
    let told = [
        "2:8: expected a text in quotes, found: integer",
        r#"3:10: no finding type can match "EC2"; did you mean "*EC2*"?"#,
        r#"5:12: unknown response "go"; there is: notify, plan, approve, contain"#,
        r#"6:2: unknown key "limits"; did you mean "limit"?"#,
    ];
    check(text, &told.join("\n"));
    check("[[rule]]\ntypes = ['*'\nresponse = plan", "3:1: missing comma between array elements, expected `,`");
    assert_eq!(Policy::parse("rule = 1", &[]).unwrap_err().to_string().split(' ').next(), Some("policy.toml:1:8:"));
}

/// Checks a protection that is right but for the last line, which is line 5.
fn check_protect(line: &str, expect: &str) {
    let what = if line.starts_with(['a', 'p']) { "accounts = ['111122223333']" } else { "paths = ['/x/']" };
    check(&format!("[[protect]]\n{what}\nowner = 'ann'\nreason = 'pay'\n{line}"), expect);
}

/// Checks a rule that is right but for the last line or lines, which begin at line 4.
fn check_key(lines: &str, expect: &str) {
    check(&format!("[[rule]]\ntypes = ['A:B/*']\nresponse = 'plan'\n{lines}"), expect);
}

fn check(text: &str, expect: &str) {
    let known = ["compromised-access-key", "stolen-role-session", "compromised-instance", "exposed-port"];
    let error = Policy::parse(text, &known).err().map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(error.replace("policy.toml:", ""), expect, "{text}");
}
