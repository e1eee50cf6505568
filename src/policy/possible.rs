//! Whether a glob can match any finding type at all.
//!
//! Only the form `Purpose:Resource/Family` counts, not the catalogue: GuardDuty gets new types more often than anyone
//! edits a policy.

/// Tells whether there is any text of that form that the glob, which must be well-formed, matches.
pub(super) fn can_match_a_type(glob: &str) -> bool {
    let [.., within_family] = read([true, false, false, false, false, false], glob);
    within_family
}

/// Where in a type one may be after a part of the glob: at the start of and within purpose, resource and family.
type Places = [bool; 6];

fn read(from: Places, glob: &str) -> Places {
    let mut places = from;
    let mut rest = glob.chars();
    while let Some(c) = rest.next() {
        places = match c {
            // Five characters lead from the first place to the last.
            '*' => (0..5).fold(places, |places, _| or(places, any(places))),
            '?' => any(places),
            '{' => {
                let (choices, after) = alternatives(rest.as_str());
                rest = after.chars();
                choices.into_iter().map(|choice| read(places, choice)).fold([false; 6], or)
            }
            c => then(places, c),
        };
    }
    places
}

fn then([purpose_start, purpose, resource_start, resource, family_start, family]: Places, c: char) -> Places {
    match c {
        ':' => [false, false, purpose, false, false, false],
        '/' => [false, false, false, false, resource, family],
        c if c.is_whitespace() || c.is_control() || ",\\\"'".contains(c) => [false; 6],
        _ => [false, purpose_start || purpose, false, resource_start || resource, false, family_start || family],
    }
}

fn any(places: Places) -> Places {
    or(then(places, ':'), or(then(places, '/'), then(places, 'x')))
}

fn or(mut places: Places, others: Places) -> Places {
    places.iter_mut().zip(others).for_each(|(place, other)| *place |= other);
    places
}

/// Splits what follows a `{` into its alternatives, which may hold braces themselves, and what is behind the `}`.
fn alternatives(text: &str) -> (Vec<&str>, &str) {
    let (mut choices, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                choices.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
                if c == '}' {
                    return (choices, text.get(start..).unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    (choices, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::glob::Glob;
    use proptest::prelude::*;

    #[test]
    fn the_form_of_a_type_decides() {
        for possible in ["*", "*BruteForce", "Backdoor*", "Recon:*", "*/Portscan", "?:?/?", "*?????", "New:Thing/*"] {
            assert!(can_match_a_type(possible), "{possible}");
        }
        for possible in ["{A:B,*}/x", "{A,{B,C}:D}/{x,y}", "{A:,}B:C/D", "[beta]*", "Backdoor:EC2/C&CActivity.B!DNS"] {
            assert!(can_match_a_type(possible), "{possible}");
        }
        for impossible in
            ["", "EC2", "Backdoor:EC2", "IAMUser/*", "*:IAMUser", "Backdoor:/x", ":EC2/*", "Backdoor:EC2/"]
        {
            assert!(!can_match_a_type(impossible), "{impossible}");
        }
        for impossible in
            ["??:/*", "A:B/*, C:D/*", " A:B/*", "A:B/*:*", "{A,B}", "{A:B,C:D/}", "A/B:*", "????", "{A,}:"]
        {
            assert!(!can_match_a_type(impossible), "{impossible}");
        }
    }

    proptest! {
        #[test]
        fn a_glob_that_matches_a_type_is_never_called_impossible(
            glob in "[AB:/*?]{0,8}",
            kind in "[AB]{1,2}:[AB]{1,2}/[AB]{1,2}",
        ) {
            let matches = Glob::tag_value(&glob).unwrap().is_match(&kind);
            prop_assert!(!matches || can_match_a_type(&glob));
        }
    }
}
